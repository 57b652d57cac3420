"""site.py BUILD - builds the documents as a site into BUILD/site: `make site`, which installs what is imported here.

The files are laid out as in the source, so that links between them mean the same; recipes and examples that are linked
become pages with their code. MkDocs checks links and anchors; what the pages would ask of other hosts is looked for in
what it made. Fails with a line for each fault.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGES = ["README.md", "README.ko.md", "CONTRIBUTING.md", "CHANGELOG.md"]
# What is shown as a page of code where a document links to it.
SHOWN = {".lua": "lua", ".c": "c", ".h": "c", ".sh": "sh", ".py": "python"}
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
# What makes a browser ask for a file; a link that somebody clicks does not.
ASKS = re.compile(r"""<(?:script|img|iframe|source|video|audio|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
                  r"""|url\(["']?((?:https?:)?//[^"')]+)|@import\s+["']((?:https?:)?//[^"']+)""", re.I)


def page_of(path, base):
    """The page that shows the file `path`: its path below the site's source, made where it is not there yet."""
    target = base / (str(path) + ".md")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / path).read_text(encoding="utf-8")
        fence = "`" * 4
        target.write_text(f"---\nsearch: {{ exclude: true }}\n---\n# {path}\n\n{fence}{SHOWN[path.suffix]}\n{text}{fence}\n",
                          encoding="utf-8")
    return target


def folder_page(path, base):
    """A page that lists a folder's files, each with its page of code."""
    target = base / path / "folder.md"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        names = sorted(f.name for f in (ROOT / path).iterdir() if f.suffix in SHOWN)
        target.write_text(f"---\nsearch: {{ exclude: true }}\n---\n# {path}\n\n" + "".join(f"- [{n}]({n}.md)\n" for n in names), encoding="utf-8")
        for name in names:
            page_of(path / name, base)
    return target


def stage(base):
    """Writes the documents below `base`, with links to source files turned to pages that show them."""
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    pages = [pathlib.Path(p) for p in PAGES] + sorted(p.relative_to(ROOT) for p in (ROOT / "docs").rglob("*.md"))
    for page in pages:
        def turned(match):
            to, anchor = match.group(1), match.group(2) or ""
            path = pathlib.Path(*(ROOT / page.parent / to).resolve().parts[len(ROOT.parts):])
            there = ROOT / path
            if there.suffix in SHOWN and there.is_file():
                page_of(path, base)
                return f"]({to}.md{anchor})"
            if there.is_dir() and there != ROOT:
                folder_page(path, base)
                return f"]({to.rstrip('/')}/folder.md)"
            if there.is_file() and there.suffix != ".md":
                (base / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(there, base / path)
            return match.group(0)
        text = (ROOT / page).read_text(encoding="utf-8")
        # Code is left as it is: fences and words in the code's signs.
        parts = re.split(r"(^ *```.*?^ *```$|`[^`\n]*`)", text, flags=re.M | re.S)
        text = "".join(p if k % 2 else LINK.sub(turned, p) for k, p in enumerate(parts))
        (base / page).parent.mkdir(parents=True, exist_ok=True)
        (base / page).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs/pictures", base / "docs/pictures", dirs_exist_ok=True)
    (base / "assets").mkdir()
    for name in ["iframe-worker.js", "site.css", "icon.svg"]:
        shutil.copy(HERE / name, base / "assets" / name)


def asked(site):
    """What the built pages would ask of other hosts: lines, a file and an address each."""
    out = []
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            for match in ASKS.finditer(path.read_text(encoding="utf-8")):
                out.append(f"{path.relative_to(site)}: {next(g for g in match.groups() if g)}")
    return out


def main(build):
    base, site = build / "site-src" / "docs", build / "site"
    stage(base)
    config = base.parent / "mkdocs.yml"
    config.write_text((HERE / "mkdocs.yml").read_text(encoding="utf-8")
                      + f"docs_dir: {base}\nsite_dir: {site}\n", encoding="utf-8")
    # -q would hide warnings from --strict too. The theme would advertise its successor at each build.
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "-f", str(config)],
                          env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
        print("\n".join(said) or done.stdout)
        return 1
    faults = asked(site)
    for each in faults:
        print("site: asks another host:", each)
    pages = len(list(site.rglob("*.html")))
    if not faults:
        print(f"{site}/index.html: {pages} pages, every link leads somewhere, nothing is asked of other hosts")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
