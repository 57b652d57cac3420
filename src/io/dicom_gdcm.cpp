// dicom_gdcm.cpp - libtlua_dicom.so: GDCM's decoders behind one C function, so that the core stays C. What a frame's
// own header says was checked before it comes here; GDCM's own reading of files is not used, since it takes the
// memory that a length asks for before it looks whether there is so much.
#include "io/dicom_shim.h"

#include <gdcmByteValue.h>
#include <gdcmDataElement.h>
#include <gdcmFragment.h>
#include <gdcmJPEG2000Codec.h>
#include <gdcmJPEGCodec.h>
#include <gdcmJPEGLSCodec.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>
#include <gdcmVersion.h>

#include <csetjmp>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <memory>
#include <mutex>
#include <ostream>
#include <streambuf>

// ---- what the decoders may not do ----
// Debian's GDCM ends the program where a frame is not as it assumes (assert), and its JPEG library writes to standard
// error. This object is loaded so that names are looked up in it before they are in the C library (RTLD_DEEPBIND), so
// these functions are what GDCM calls. While a frame is decoded in this thread an end becomes a jump out of it, which
// leaks what the decoder held, and nothing is written; everybody else gets what the functions always do.

namespace
{
thread_local std::jmp_buf *way_out;
bool is_silent(std::FILE *f) { return way_out && (f == stderr || f == stdout); }
} // namespace

#define OWN extern "C" __attribute__((visibility("default")))

OWN void __assert_fail(const char *what, const char *file, unsigned int line, const char *function) noexcept
{
    if (way_out) std::longjmp(*way_out, 1);
    std::fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, what);
    std::abort();
}

OWN void exit(int status) noexcept
{
    if (way_out) std::longjmp(*way_out, 1);
    auto real = reinterpret_cast<void (*)(int)>(dlsym(RTLD_NEXT, "exit"));
    if (real) real(status);
    std::abort();
}

OWN int __vfprintf_chk(std::FILE *f, int flag, const char *format, va_list ap);
OWN int __fprintf_chk(std::FILE *f, int flag, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = is_silent(f) ? 0 : __vfprintf_chk(f, flag, format, ap);
    va_end(ap);
    return n;
}

OWN int __printf_chk(int flag, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = is_silent(stdout) ? 0 : __vfprintf_chk(stdout, flag, format, ap);
    va_end(ap);
    return n;
}

OWN size_t fwrite(const void *from, size_t size, size_t n, std::FILE *f)
{
    if (is_silent(f)) return n;
    flockfile(f);
    n = fwrite_unlocked(from, size, n, f);
    funlockfile(f);
    return n;
}

OWN int fputs(const char *text, std::FILE *f)
{
    return fwrite(text, 1, std::strlen(text), f) == std::strlen(text) ? 0 : EOF;
}
OWN int puts(const char *text) { return fputs(text, stdout) == EOF ? EOF : fputs("\n", stdout); }

OWN int fputc(int c, std::FILE *f)
{
    unsigned char byte = static_cast<unsigned char>(c);
    return fwrite(&byte, 1, 1, f) == 1 ? byte : EOF;
}

OWN int putchar(int c) { return fputc(c, stdout); }

// ---- decoding ----

namespace
{

// Where GDCM's messages go.
struct Nothing : std::streambuf {
    int overflow(int c) override { return traits_type::not_eof(c); }
    std::streamsize xsputn(const char *, std::streamsize n) override { return n; }
};

void be_silent()
{
    static Nothing nothing;
    static std::ostream nowhere(&nothing);
    gdcm::Trace::SetStream(nowhere);
    gdcm::Trace::SetDebugStream(nowhere);
    gdcm::Trace::SetWarningStream(nowhere);
    gdcm::Trace::SetErrorStream(nowhere);
    gdcm::Trace::DebugOff();
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
}

std::unique_ptr<gdcm::ImageCodec> codec_of(int codec)
{
    switch (codec) {
    case TLUA_DICOM_SHIM_JPEG: return std::make_unique<gdcm::JPEGCodec>();
    case TLUA_DICOM_SHIM_JPEG_LS: return std::make_unique<gdcm::JPEGLSCodec>();
    case TLUA_DICOM_SHIM_JPEG_2000: {
        auto own = std::make_unique<gdcm::JPEG2000Codec>();
        own->SetNumberOfThreadsForDecompression(0); // this thread alone: others have no way out
        return own;
    }
    default: return nullptr;
    }
}

int fail(char *said, size_t room, const char *what)
{
    std::snprintf(said, room, "%s", what);
    return -1;
}

int decode(const tlua_dicom_stream &s, void *out, size_t out_bytes, char *said, size_t room)
{
    if (s.version != TLUA_DICOM_SHIM_VERSION) return fail(said, room, "libtlua_dicom.so is of another version");
    auto codec = codec_of(s.codec);
    if (!codec) return fail(said, room, "no such codec");
    auto wide = static_cast<unsigned short>(s.bits <= 8                                       ? 8
                                            : s.bits == 12 && s.codec == TLUA_DICOM_SHIM_JPEG ? 12
                                                                                              : 16);
    auto bits = static_cast<unsigned short>(s.bits);
    gdcm::PixelFormat format(static_cast<unsigned short>(s.samples), wide, bits,
                             static_cast<unsigned short>(bits - 1), static_cast<unsigned short>(s.is_signed));
    const unsigned int size[3] = {s.columns, s.rows, 1};
    codec->SetDimensions(size);
    codec->SetNumberOfDimensions(2);
    codec->SetPlanarConfiguration(0);
    codec->SetPhotometricInterpretation(gdcm::PhotometricInterpretation::GetPIType(s.photometric));
    codec->SetPixelFormat(format);
    gdcm::Fragment piece;
    piece.SetByteValue(static_cast<const char *>(s.data), static_cast<uint32_t>(s.bytes));
    gdcm::SmartPointer<gdcm::SequenceOfFragments> pieces = new gdcm::SequenceOfFragments;
    pieces->AddFragment(piece);
    gdcm::DataElement in(gdcm::Tag(0x7fe0, 0x0010), 0xffffffff, gdcm::VR::OB), result;
    in.SetValue(*pieces);
    if (!codec->Decode(in, result)) return fail(said, room, "GDCM cannot decode it");
    const gdcm::ByteValue *values = result.GetByteValue();
    if (!values) return fail(said, room, "GDCM decodes it to nothing");
    // Streams of an odd number of bytes are filled up to an even one.
    size_t got = values->GetLength();
    if (got != out_bytes && got != out_bytes + (out_bytes & 1)) {
        std::snprintf(said, room, "it decodes to %zu bytes, and %zu are wanted", got, out_bytes);
        return -1;
    }
    std::memcpy(out, values->GetPointer(), out_bytes);
    return 0;
}

// Apart from what jumps, so that nothing of it is lost by a jump.
__attribute__((noinline)) int decode_or_fail(const tlua_dicom_stream *s, void *out, size_t out_bytes, char *said,
                                             size_t room)
{
    int status;
    try {
        status = decode(*s, out, out_bytes, said, room);
    } catch (const std::exception &e) {
        status = fail(said, room, e.what());
    } catch (...) {
        status = fail(said, room, "GDCM failed");
    }
    return status;
}

} // namespace

OWN int tlua_dicom_decode(const tlua_dicom_stream *s, void *out, size_t out_bytes, char *said, size_t room)
{
    static std::once_flag once;
    std::call_once(once, be_silent);
    std::jmp_buf here;
    if (setjmp(here) != 0) {
        way_out = nullptr;
        std::strncpy(said, "GDCM gave it up", room);
        return -1;
    }
    way_out = &here;
    int status = decode_or_fail(s, out, out_bytes, said, room);
    way_out = nullptr;
    return status;
}

OWN const char *tlua_dicom_version(void) { return gdcm::Version::GetVersion(); }
