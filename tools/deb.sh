#!/bin/sh
# `make deb`: a Debian package of what `make install` puts in place, for the distribution it is built on. What the program is
# linked with becomes Depends by dpkg-shlibdeps, libraries that are loaded when they are used become Recommends; the
# package of each is that which has the library on this machine. The same source gives the same bytes.
#   tools/deb.sh BUILD-FOLDER
set -u
BUILD=${1:-build}
for program in dpkg-deb dpkg-shlibdeps; do
    command -v "$program" >/dev/null 2>&1 || { echo "deb: $program is needed: apt-get install dpkg-dev" >&2; exit 1; }
done
version=$(sed -n 's/^#define TLUA_VERSION "\(.*\)"/\1/p' src/tlua.h)
arch=$(dpkg --print-architecture)
root=$BUILD/deb/root
rm -rf "$BUILD/deb"
mkdir -p "$root/DEBIAN" "$BUILD/deb/debian"
make -s install DESTDIR="$PWD/$root" PREFIX=/usr || exit 1
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then when=$SOURCE_DATE_EPOCH; else when=$(git log -1 --format=%ct 2>/dev/null || echo 0); fi
export SOURCE_DATE_EPOCH="$when"

strip --strip-unneeded "$root/usr/bin/tlua" "$root"/usr/lib/*.so* 2>/dev/null
strip --strip-debug "$root/usr/lib/libtlua.a"
gzip -9nf "$root/usr/share/man/man1/tlua.1" "$root/usr/share/doc/tlua/CHANGELOG.md"
mv "$root/usr/share/doc/tlua/CHANGELOG.md.gz" "$root/usr/share/doc/tlua/changelog.gz"
mv "$root/usr/share/doc/tlua/LICENSE" "$root/usr/share/doc/tlua/copyright"
sed -i 's,](CHANGELOG\.md),](changelog.gz),g; s,](LICENSE),](copyright),g' "$root"/usr/share/doc/tlua/*.md

# dpkg-shlibdeps wants a source package's folder.
printf 'Source: tlua\n\nPackage: tlua\nArchitecture: any\n' >"$BUILD/deb/debian/control"
depends=$(cd "$BUILD/deb" && dpkg-shlibdeps -O --ignore-missing-info -lroot/usr/lib root/usr/bin/tlua root/usr/lib/libtlua.so.0 2>/dev/null |
    sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { echo "deb: dpkg-shlibdeps says nothing of what the program is linked with" >&2; exit 1; }

# The package that has a library: that of dpkg's list of files.
package_of() {
    path=$(/sbin/ldconfig -p | sed -n "s,^[[:space:]]*$1 .*=> ,,p" | head -n 1)
    [ -n "$path" ] && dpkg -S "$(readlink -f "$path")" 2>/dev/null | head -n 1 | cut -d: -f1
}
recommends=pocl-opencl-icd
for library in $(grep -rhoE 'dlopen\("lib[a-z0-9_-]+\.so\.[0-9]+"' src | sed 's/dlopen("//; s/"//' | sort -u); do
    p=$(package_of "$library")
    case ", $recommends," in *", $p,"*) ;; *) [ -n "$p" ] && recommends="$recommends, $p" ;; esac
done
if [ -f "$root/usr/lib/libtlua_dicom.so" ]; then
    gdcm=$(cd "$BUILD/deb" && dpkg-shlibdeps -O --ignore-missing-info -lroot/usr/lib root/usr/lib/libtlua_dicom.so 2>/dev/null |
        sed -n 's/^shlibs:Depends=//p' | tr ',' '\n' | sed 's/^ *//' | grep -i gdcm)
    [ -n "$gdcm" ] && recommends="$recommends, $gdcm"
fi

cat >"$root/DEBIAN/control" <<END
Package: tlua
Version: $version
Architecture: $arch
Maintainer: tlua's maintainers <maintainers@tlua.invalid>
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: $depends
Recommends: $recommends
Suggests: python3, fonts-noto-core, fonts-noto-cjk
Section: science
Priority: optional
Description: transfer learning on any OpenCL device, without Python
 A C core runs tensors on any OpenCL device; recipes in Lua 5.4 declare which layers stay frozen, the new head, the
 schedule and the data. The package has the program, its recipes and documents, the library and its header.
END
echo "activate-noawait ldconfig" >"$root/DEBIAN/triggers"
(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum >DEBIAN/md5sums)
find "$root" -type d -exec chmod 755 {} +
package=$BUILD/tlua_${version}_$arch.deb
find "$root" -exec touch -h -d "@$when" {} +
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null || exit 1
echo "$package: $(du -k "$package" | cut -f1) kB; apt install ./$package"
