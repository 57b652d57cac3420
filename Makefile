# tlua: transfer learning on any OpenCL device.
#   make            the library (shared and static), the program `tlua`, the pkg-config file
#   make demo       installs what is missing, then trains on real pictures
#   make test       installs what is missing, then runs every test
#   make help       the other targets
CC      ?= cc
PREFIX  ?= /usr/local
BUILD   ?= build
OPT     ?= -O2 -g
TLUA    ?= tlua
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes
VERSION := $(shell sed -n 's/^.define TLUA_VERSION "\(.*\)"/\1/p' src/tlua.h)
PKGS    := libprotobuf-c nettle spng libturbojpeg libwebp libwebpdemux libcjson libutf8proc zlib
CFLAGS  += -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -Isrc -I$(BUILD)/gen
CFLAGS  += $(shell pkg-config --cflags $(PKGS) lua5.4 2>/dev/null)
# Loaded when used, so that headers are all that is wanted of them here.
CFLAGS  += $(shell pkg-config --cflags sndfile soxr libpcre2-8 freetype2 harfbuzz fontconfig fribidi 2>/dev/null)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lgif -lOpenCL -lm -ldl -pthread
LUALIBS := $(shell pkg-config --libs lua5.4 2>/dev/null) -ledit

CORE_C  := $(filter-out src/lua/%,$(wildcard src/*/*.c src/*/*/*.c))
LUA_C   := $(wildcard src/lua/*.c)
CL      := $(wildcard cl/*.cl cl/*.clh cl/*/*.cl cl/*/*.clh)
LUA     := $(shell find lua -name '*.lua' 2>/dev/null | sort)
CORE_O  := $(CORE_C:%.c=$(BUILD)/%.o) $(BUILD)/gen/kernels.o $(BUILD)/gen/onnx.pb-c.o $(BUILD)/gen/sentencepiece.pb-c.o
LUA_O   := $(LUA_C:%.c=$(BUILD)/%.o) $(BUILD)/gen/chunks.o

# Compressed DICOM: C++ around GDCM, an object of its own that is loaded with the first such picture, built where it can be.
GDCM_H   := $(firstword $(wildcard /usr/include/gdcm-*/gdcmJPEGLSCodec.h /usr/local/include/gdcm-*/gdcmJPEGLSCodec.h))
DICOM_SO := $(if $(and $(GDCM_H),$(shell command -v $(lastword $(CXX)) 2>/dev/null)),$(BUILD)/libtlua_dicom.so)

.PHONY: all deps
all: $(BUILD)/libtlua.so $(BUILD)/libtlua.a $(BUILD)/tlua.pc $(DICOM_SO) $(TLUA)

$(BUILD)/libtlua.a: $(CORE_O)
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libtlua.so: $(CORE_O)
	$(CC) -shared -Wl,-soname,libtlua.so.0 $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/libtlua_dicom.so: src/io/dicom_gdcm.cpp src/io/dicom_shim.h
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O2 -g -Wall -Wextra -Wpedantic -fPIC -fvisibility=hidden -Isrc -isystem $(dir $(GDCM_H)) -shared -o $@ $< -lgdcmMSFF -lgdcmDSED -lgdcmCommon
# Everything stands in the program itself, so that it runs from any folder and without an install.
$(TLUA): $(LUA_O) $(BUILD)/libtlua.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LUALIBS) $(LIBS)
# The loader knows libraries below /usr only; programs linked by way of pkg-config find one elsewhere by the path in themselves.
PC := -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@RPATH@|$(if $(filter /usr,$(PREFIX)),, -Wl,-rpath,$${libdir})|'
$(BUILD)/tlua.pc: tools/tlua.pc.in src/tlua.h Makefile
	@mkdir -p $(@D)
	sed $(PC) $< > $@

# Kernels and Lua files become C arrays.
$(BUILD)/embed: tools/embed.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 $(WARN) -o $@ $<
$(BUILD)/gen/kernels.c: $(CL) $(BUILD)/embed Makefile
	@mkdir -p $(@D)
	$(BUILD)/embed tl__kernel_files cl $(CL) > $@
$(BUILD)/gen/chunks.c: $(LUA) $(BUILD)/embed Makefile
	@mkdir -p $(@D)
	$(BUILD)/embed tl__lua_files lua $(LUA) > $@
# The structures of .onnx files, from Debian's onnx.proto.
ONNX_PROTO ?= /usr/include/onnx/onnx.proto
$(BUILD)/gen/onnx.pb-c.c: $(ONNX_PROTO) Makefile
	@mkdir -p $(@D)
	protoc-c --c_out=$(@D) -I$(<D) $(<F)
$(BUILD)/gen/sentencepiece.pb-c.c: src/io/sentencepiece.proto
	@mkdir -p $(@D)
	protoc-c --c_out=$(@D) -I$(<D) $(<F)
PROTO_H := $(BUILD)/gen/onnx.pb-c.h $(BUILD)/gen/sentencepiece.pb-c.h
$(PROTO_H): %.h: %.c ;
$(CORE_O) $(LUA_O): | $(PROTO_H)
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CFLAGS) -c -o $@ $<
# libjpeg-turbo does not tell its own version.
%/src/io/image_png.o: CFLAGS += -DTLUA_JPEG_VERSION='"$(or $(shell pkg-config --modversion libturbojpeg 2>/dev/null),of unknown version)"'
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
-include $(CORE_O:.o=.d) $(LUA_O:.o=.d)

# ---- install ----
.PHONY: deps install uninstall
deps:
	@sh tools/install_deps.sh
# Links of the documents, which lie in one folder then, to where everything is installed.
DOC_LINKS := -e 's,](docs/,](,g' -e 's,](\.\./CONTRIBUTING,](CONTRIBUTING,g' -e 's,](\(\.\./\)*recipes\([/)]\),](../../tlua/recipes\2,g' -e 's,](\(\.\./\)*examples/,](../../tlua/examples/,g' \
    -e 's,](tests/embedding,](../../tlua/examples/embedding,g' -e 's,](\(\.\./\)*src/,](../../../include/,g' -e 's,](tlua\.d\.lua),](../../tlua/tlua.d.lua),g'
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/tlua/recipes $(DESTDIR)$(PREFIX)/share/tlua/examples
	install -m 755 tlua $(DESTDIR)$(PREFIX)/bin/tlua
	install -m 644 src/tlua.h src/tlua_ops.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/libtlua.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(BUILD)/libtlua.so $(DESTDIR)$(PREFIX)/lib/libtlua.so.0
	ln -sf libtlua.so.0 $(DESTDIR)$(PREFIX)/lib/libtlua.so
	$(if $(DICOM_SO),install -m 755 $(DICOM_SO) $(DESTDIR)$(PREFIX)/lib)
	install -m 644 recipes/*.lua $(DESTDIR)$(PREFIX)/share/tlua/recipes
	install -m 644 examples/*.c tests/embedding.c $(DESTDIR)$(PREFIX)/share/tlua/examples
	sed $(PC) tools/tlua.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/tlua.pc
	install -m 644 docs/tlua.d.lua docs/shapes.lua docs/animals.lua docs/tones.lua $(DESTDIR)$(PREFIX)/share/tlua
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,doc/tlua man/man1 bash-completion/completions zsh/site-functions fish/vendor_completions.d)
	install -d $(DESTDIR)$(PREFIX)/share/doc/tlua/pictures
	install -m 644 docs/pictures/* $(DESTDIR)$(PREFIX)/share/doc/tlua/pictures
	install -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/tlua
	install -d $(DESTDIR)$(PREFIX)/share/doc/tlua/reference
	install -m 644 docs/reference/*.md $(DESTDIR)$(PREFIX)/share/doc/tlua/reference
	for f in README.md README.ko.md CONTRIBUTING.md CHANGELOG.md docs/*.md; do sed $(DOC_LINKS) $$f > $(DESTDIR)$(PREFIX)/share/doc/tlua/$${f##*/} || exit 1; done
	cd $(DESTDIR)$(PREFIX)/share/doc/tlua && chmod 644 *.md
	install -m 644 docs/tlua.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 docs/completion/tlua.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tlua
	install -m 644 docs/completion/_tlua $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 docs/completion/tlua.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
uninstall:
	cd $(DESTDIR)$(PREFIX) && rm -rf bin/tlua lib/libtlua.* lib/libtlua_dicom.so lib/pkgconfig/tlua.pc include/tlua.h include/tlua_ops.h share/tlua share/doc/tlua share/man/man1/tlua.1
	cd $(DESTDIR)$(PREFIX)/share && rm -f bash-completion/completions/tlua zsh/site-functions/_tlua fish/vendor_completions.d/tlua.fish

# A Debian package of what is installed.
.PHONY: deb
deb: all
	@sh tools/deb.sh $(BUILD)

# ---- demo ----
.PHONY: demo
demo:
	@sh tools/install_deps.sh demo
	@$(MAKE) -s all
	@sh tools/demo.sh

# ---- tests ----
# Each tests/unit/NAME.c and tests/op/NAME.c is a Criterion program of its own.
# `test` installs first and starts make anew, since what pkg-config says may change by that.
FUZZ    ?= $(filter-out replay,$(basename $(notdir $(wildcard tests/fuzz/*.c))))
TEST_C  := $(wildcard tests/unit/*.c tests/op/*.c)
TEST_B  := $(TEST_C:tests/%.c=$(BUILD)/tests/%)
$(BUILD)/tests/%: tests/%.c $(BUILD)/libtlua.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Itests -MMD -MP -o $@ $< $(BUILD)/libtlua.a -lcriterion $(LIBS)
-include $(TEST_B:=.d)

.PHONY: bench-kernels test test-whole test-crash tests-built test-devices test-compilers test-compilers-docs test-pages test-interop test-onnx bench bench-peers golden docs lint fuzz asan
test:
	@sh tools/install_deps.sh test
	@$(MAKE) -s -j2 all tests-built
	@sh tests/run.sh
tests-built: $(TEST_B) $(FUZZ:%=$(BUILD)/tests/fuzz/%) $(BUILD)/embedding $(BUILD)/predict $(BUILD)/predict_memory $(BUILD)/scores $(BUILD)/segment $(BUILD)/hear $(BUILD)/detect $(BUILD)/comma $(BUILD)/pty $(BUILD)/ask $(BUILD)/limit
# A pseudo-terminal with something that types in it.
$(BUILD)/pty: tests/pty.c
	$(CC) -std=c11 $(WARN) -o $@ $< -lutil
# A client that sends any bytes to a port of this machine.
$(BUILD)/ask: tests/ask.c
	$(CC) -std=c11 $(WARN) -o $@ $<
# The installed header and library, as a C program of somebody else would use them.
$(BUILD)/embedding: tests/embedding.c $(BUILD)/libtlua.a
	$(CC) -std=c11 $(WARN) -Isrc -o $@ $< $(BUILD)/libtlua.a $(LIBS)
$(BUILD)/predict $(BUILD)/predict_memory $(BUILD)/scores $(BUILD)/segment $(BUILD)/hear $(BUILD)/detect: $(BUILD)/%: examples/%.c $(BUILD)/libtlua.a
	$(CC) -std=c11 $(WARN) -Isrc -o $@ $< $(BUILD)/libtlua.a $(LIBS)
# The same example in a program that follows the user's locale.
$(BUILD)/comma: tests/comma.c examples/predict.c $(BUILD)/libtlua.a
	$(CC) -std=c11 $(WARN) -Isrc -o $@ $< $(BUILD)/libtlua.a $(LIBS)
# All of it: every order that can fail, every problem of the kernels for GPUs.
test-whole:
	@TLUA_TEST_WHOLE=1 $(MAKE) -s test
test-devices: all tests-built
	sh tools/test_devices.sh
# What the makers' compilers for GPUs make of the kernels; with `docs` the table goes into docs/gpu.md. Its programs come from tests that
# are walked through on a GPU of paper, which judge nothing there.
WALKS := $(addprefix $(BUILD)/walks/,op/ops unit/gemm unit/conv unit/optim unit/optim_tables unit/again unit/pooling unit/launch unit/inverted_residual unit/row_groups)
$(BUILD)/walks/%: tests/%.c $(BUILD)/libtlua.a tests/compilers/go_on.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -w -Itests -include tests/compilers/go_on.h -MMD -MP -o $@ $< $(BUILD)/libtlua.a -lcriterion $(LIBS)
-include $(WALKS:=.d)
$(BUILD)/fake_gpu.so: tests/compilers/fake_gpu.c
	$(CC) -std=c11 $(WARN) -O2 -shared -fPIC -o $@ $<
test-compilers test-compilers-docs: all $(WALKS) $(BUILD)/fake_gpu.so
	@sh tools/test_compilers.sh $(if $(filter %-docs,$@),docs)
# What work would take at least on cards that are not at hand, by their published peaks.
.PHONY: roofline roofline-docs
roofline roofline-docs: all $(BUILD)/fake_gpu.so
	@sh tools/roofline.sh $(if $(filter %-docs,$@),docs)
# Unit, operator and Lua tests under the sanitizers of addresses, undefined behaviour and leaks, in a build of their own; ASAN="unit/features lua/cache" runs
# those alone.
ASAN_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
.PHONY: criterion-built
criterion-built: $(TEST_B)
asan:
	@$(MAKE) -s BUILD=$(BUILD)/asan TLUA=$(BUILD)/asan/tlua OPT="$(ASAN_FLAGS)" LDFLAGS="-fsanitize=address,undefined" $(BUILD)/asan/tlua $(DICOM_SO:$(BUILD)/%=$(BUILD)/asan/%) criterion-built
	@sh tools/asan.sh $(BUILD)/asan $(ASAN)
# Two devices in two threads under ThreadSanitizer.
.PHONY: tsan
tsan:
	@$(MAKE) -s BUILD=$(BUILD)/tsan OPT="-O1 -g -fsanitize=thread" $(BUILD)/tsan/threads
	OCL_ICD_VENDORS=$(wildcard /etc/OpenCL/vendors/pocl.icd) TSAN_OPTIONS="suppressions=tests/sanitizers/tsan.supp" $(BUILD)/tsan/threads
$(BUILD)/threads: tests/unit/threads.c tests/sanitizers/plain/criterion/criterion.h $(BUILD)/libtlua.a
	$(CC) $(CFLAGS) -w -Itests/sanitizers/plain -Itests -o $@ $< $(BUILD)/libtlua.a $(LIBS)
# A hundred runs killed at random moments.
test-crash: all
	./tlua tests/crash/crash.lua 100
# A run of ten minutes followed in a browser, through kills and resumptions.
.PHONY: test-watch
test-watch: all $(BUILD)/ask
	./tlua tests/lua/watch.lua 600

# ---- the longer things ----
PEERS ?= $(BUILD)/peers
$(PEERS)/bin/python:
	python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install -q -r tests/golden/requirements.txt onnx onnxruntime onnxscript onnx2torch onnxsim
bench-peers: $(PEERS)/bin/python
bench: all
	@test -x $(PEERS)/bin/python || { echo "bench: the peers are missing: make bench-peers (3 GB)"; exit 1; }
	$(PEERS)/bin/python bench/compare.py
# Single products and layers, as rates: build/bench_gemm, build/bench_conv.
bench-kernels: $(BUILD)/bench_gemm $(BUILD)/bench_conv
	$(BUILD)/bench_gemm
	$(BUILD)/bench_conv
$(BUILD)/bench_%: bench/%.c $(BUILD)/libtlua.a
	$(CC) $(CFLAGS) -o $@ $< $(BUILD)/libtlua.a $(LIBS)
# A folder that runs tests and benchmarks on a bare machine with a GPU.
.PHONY: gpu-bundle
$(BUILD)/limit: tools/bundle/limit.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 $(WARN) -o $@ $<
gpu-bundle: all tests-built $(BUILD)/bench_gemm $(BUILD)/bench_conv $(BUILD)/limit
	sh tools/gpu_bundle.sh $(BUILD)/gpu-bundle
golden: all tests-built $(PEERS)/bin/python
	for f in tests/golden/make_*.py; do $(PEERS)/bin/python $$f || exit 1; done
test-interop: all $(PEERS)/bin/python
	$(PEERS)/bin/python tests/interop.py
	@$(MAKE) -s test-onnx
# Pages under axe-core in Chromium, light and dark, at three widths: those that tests/pages/make.lua makes, or PAGES. AXE is axe.min.js.
PAGES ?= $(BUILD)/pages
AXE ?= $(BUILD)/axe.min.js
test-pages: all
	$(if $(filter $(BUILD)/pages,$(PAGES)),./tlua tests/pages/make.lua $(PAGES))
	AXE="$(AXE)" ./tlua tests/pages/check.lua $(PAGES)
# ONNX: models of operators, Debian's and those of newer versions; graphs drawn at random; networks from both exporters of PyTorch, which stay
# in ONNX_FILES, and what other files ONNX_REAL names (docs/onnx.md).
ONNX_FILES ?= $(BUILD)/onnx
ONNX_REAL ?=
test-onnx: all $(PEERS)/bin/python
	./tlua tests/interop/onnx_conformance.lua
	$(PEERS)/bin/python tests/interop/onnx_cases.py $(ONNX_FILES)/cases
	./tlua tests/interop/onnx_conformance.lua --data $(ONNX_FILES)/cases --least 18 --most 23 --table $(BUILD)/onnx_conformance_18.txt
	$(PEERS)/bin/python tests/interop/onnx_export.py $(ONNX_FILES)/exports
	$(if $(ONNX_REAL),$(PEERS)/bin/python tests/interop/onnx_real.py $(ONNX_FILES)/real $(ONNX_REAL))
	$(PEERS)/bin/python tests/interop/onnx_random.py $(ONNX_FILES)/random 600
	./tlua tests/interop/onnx_files.lua $(ONNX_FILES)/random $(ONNX_FILES)/exports $(if $(ONNX_REAL),$(ONNX_FILES)/real)
	$(PEERS)/bin/python tests/interop/onnx_write.py $(ONNX_FILES)/written
docs: tlua $(BUILD)/ops_doc
	$(BUILD)/ops_doc | ./tlua tools/reference.lua operators > docs/ops.md
	./tlua tools/reference.lua write
	./tlua tools/stubs.lua > docs/tlua.d.lua
	@mkdir -p docs/completion
	for f in $(COMMAND_LINE); do ./tlua tools/command_line.lua $${f%%:*} > docs/$${f#*:} || exit 1; done
# What tools/command_line.lua writes, and where.
COMMAND_LINE := man:tlua.1 bash:completion/tlua.bash zsh:completion/_tlua fish:completion/tlua.fish
# The documents as a site in build/site, by MkDocs from PyPI in an environment of its own.
SITE_VENV := $(BUILD)/site-venv
.PHONY: site test-docs
$(SITE_VENV)/made: tools/site/requirements.txt
	rm -rf $(SITE_VENV)
	python3 -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/pip install -q --disable-pip-version-check -r $<
	touch $@
site: $(SITE_VENV)/made
	$(SITE_VENV)/bin/python tools/site/site.py $(BUILD)
# Every block of code of the documents, the examples of all commands, and the site.
test-docs: all tests-built
	sh tests/docs.sh
	@$(MAKE) -s site
$(BUILD)/ops_doc: tools/ops_doc.c $(BUILD)/libtlua.a
	$(CC) $(CFLAGS) -o $@ $< $(BUILD)/libtlua.a $(LIBS)
# SINCE=COMMIT: also lines and functions that have become too long since then.
lint: all $(BUILD)/ops_doc
	@BUILD="$(BUILD)" SINCE="$(SINCE)" sh tools/lint.sh
	$(BUILD)/ops_doc | ./tlua tools/reference.lua operators | diff -q - docs/ops.md >/dev/null || { echo "lint: docs/ops.md is stale: make docs"; exit 1; }
	./tlua tools/reference.lua check
	./tlua tools/stubs.lua | diff -q - docs/tlua.d.lua >/dev/null || { echo "lint: docs/tlua.d.lua is stale: make docs"; exit 1; }
	@for f in $(COMMAND_LINE); do ./tlua tools/command_line.lua $${f%%:*} | diff -q - docs/$${f#*:} >/dev/null || { echo "lint: docs/$${f#*:} is stale: make docs"; exit 1; }; done
# Readers of files under libFuzzer and sanitizers, FUZZ_SECONDS each (tests/fuzz/fuzz.h); FUZZ="plan json" runs those alone.
FUZZ_CC ?= clang
FUZZ_FLAGS := -g -O1 -w -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_O  := $(CORE_C:%.c=$(BUILD)/fuzz/%.o) $(BUILD)/fuzz/gen/kernels.o $(BUILD)/fuzz/gen/onnx.pb-c.o $(BUILD)/fuzz/gen/sentencepiece.pb-c.o
$(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(BUILD)/fuzz/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(CFLAGS) -w -c -o $@ $<
-include $(FUZZ_O:.o=.d)
$(BUILD)/fuzz/libtlua.a: $(FUZZ_O)
	rm -f $@ && ar rcs $@ $^
$(BUILD)/fuzz/run_%: tests/fuzz/%.c tests/fuzz/fuzz.h $(BUILD)/fuzz/libtlua.a
	$(FUZZ_CC) $(CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< $(BUILD)/fuzz/libtlua.a $(LIBS)
.PHONY: fuzz-tools
fuzz-tools:
	@echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0 * d[n - n]; }' | $(FUZZ_CC) -x c -fsanitize=fuzzer,address,undefined -o /dev/null - 2>/dev/null || \
	    { echo "fuzz: clang with libFuzzer and sanitizers is needed: apt-get install clang libclang-rt-dev"; exit 1; }
$(FUZZ_O): | fuzz-tools $(PROTO_H)
fuzz: fuzz-tools $(FUZZ:%=$(BUILD)/fuzz/run_%)
	sh tools/fuzz.sh $(BUILD)/fuzz $(FUZZ)
# The same targets over the inputs that are kept, without a fuzzer: a part of `make test`.
$(BUILD)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/fuzz.h tests/fuzz/replay.c $(BUILD)/libtlua.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Itests/fuzz -o $@ $< tests/fuzz/replay.c $(BUILD)/libtlua.a $(LIBS)
help:
	@echo "make            library and program        make install PREFIX=/usr/local, make deb"
	@echo "make demo       train on real pictures     make test          all tests"
	@echo "make test-whole     the same tests, and all that make test draws a part of"
	@echo "make test-devices   the operators on every OpenCL implementation at hand"
	@echo "make test-compilers every kernel compiled for GPUs of three makers, without one"
	@echo "make test-pages     pages of reports in Chromium under axe-core: AXE=axe.min.js, PAGES=FOLDER"
	@echo "make test-crash     a hundred runs killed at random, resumed, compared to the bit"
	@echo "make asan           unit, operator and Lua tests under sanitizers, for hours"
	@echo "make tsan           two devices in two threads under ThreadSanitizer"
	@echo "make bench-peers; make bench   speed beside PyTorch and ONNX Runtime"
	@echo "make gpu-bundle     a folder that tests and measures on a bare machine with a GPU"
	@echo "make golden     remake the goldens with the pinned PyTorch"
	@echo "make site           the documents as a site in build/site; make test-docs   every block of code in them"
	@echo "make docs lint fuzz test-interop clean"

clean:
	rm -rf $(BUILD) tlua
.PHONY: clean help
