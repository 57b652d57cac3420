# tlua: transfer learning on any OpenCL device.
#   make            the library (shared and static), the program `tlua`, the pkg-config file
#   make demo       installs what is missing, then trains on real pictures
#   make test       installs what is missing, then runs every test
#   make help       the other targets
CC      ?= cc
PREFIX  ?= /usr/local
BUILD   ?= build
OPT     ?= -O2 -g
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes
VERSION := $(shell sed -n 's/^.define TLUA_VERSION "\(.*\)"/\1/p' src/tlua.h)
PKGS    := nettle spng libturbojpeg libcjson zlib
CFLAGS  += -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(OPT) $(WARN) -fPIC -fvisibility=hidden -pthread -Isrc -I$(BUILD)/gen
CFLAGS  += $(shell pkg-config --cflags $(PKGS) lua5.4 2>/dev/null)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lOpenCL -lclblast -lm -ldl -pthread
LUALIBS := $(shell pkg-config --libs lua5.4 2>/dev/null) -ledit

CORE_C  := $(filter-out src/lua/%,$(wildcard src/*/*.c src/*/*/*.c))
LUA_C   := $(wildcard src/lua/*.c)
CL      := $(wildcard cl/*.cl cl/*.clh)
LUA     := $(shell find lua -name '*.lua' 2>/dev/null | sort)
CORE_O  := $(CORE_C:%.c=$(BUILD)/%.o) $(BUILD)/gen/kernels.o
LUA_O   := $(LUA_C:%.c=$(BUILD)/%.o) $(BUILD)/gen/chunks.o

.PHONY: all deps
all: $(BUILD)/libtlua.so $(BUILD)/libtlua.a $(BUILD)/tlua.pc tlua

$(BUILD)/libtlua.a: $(CORE_O)
	rm -f $@ && ar rcs $@ $^
$(BUILD)/libtlua.so: $(CORE_O)
	$(CC) -shared -Wl,-soname,libtlua.so.0 $(LDFLAGS) -o $@ $^ $(LIBS)
# Everything stands in the program itself, so that it runs from any folder and without an install.
tlua: $(LUA_O) $(BUILD)/libtlua.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LUALIBS) $(LIBS)
$(BUILD)/tlua.pc: tools/tlua.pc.in src/tlua.h Makefile
	@mkdir -p $(@D)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' $< > $@

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
$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(CC) $(CFLAGS) -c -o $@ $<
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
-include $(CORE_O:.o=.d) $(LUA_O:.o=.d)

# ---- tests ----
# Each tests/unit/NAME.c and tests/op/NAME.c is a Criterion program of its own.
TEST_C  := $(wildcard tests/unit/*.c tests/op/*.c)
TEST_B  := $(TEST_C:tests/%.c=$(BUILD)/tests/%)
$(BUILD)/tests/%: tests/%.c $(BUILD)/libtlua.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -Itests -MMD -MP -o $@ $< $(BUILD)/libtlua.a -lcriterion $(LIBS)
-include $(TEST_B:=.d)

clean:
	rm -rf $(BUILD) tlua
.PHONY: clean
