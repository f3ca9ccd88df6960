# How everything here is built: `make` builds all of it into build/, `make help`
# lists what else it can do. This first part builds the lessons and your answers.
# After it comes what only the tests need.

CC ?= cc
BUILD ?= build
# These flags are for you to change: `make CFLAGS=-O0` keeps all the others.
CFLAGS ?= -Og -g

STANDARD := c17
WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wshadow \
    -Wundef -Wvla -Wimplicit-fallthrough -Wstrict-prototypes \
    -Wmissing-prototypes -Wwrite-strings -Wpointer-arith -Wcast-qual \
    -Wnull-dereference
WERROR := $(if $(CI),-Werror)
# Guards end a program that has made a mistake with its memory. `make SANITIZE=1`
# finds more of these mistakes, but with it a program is slow. Both lists are below.
GUARDS = $(if $(SANITIZE),$(SANITIZERS),$(HARDENING))
COMPILE = $(CC) -std=$(STANDARD) $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS)

# Programs that include OpenSSL are linked with it. If its headers are not
# installed, or not those of OpenSSL 3, make leaves these programs out and says so.
using_openssl = $(shell grep -lsE '^.include (<openssl/|"tls[.]h")' $1 | \
    xargs -r grep -LE '__has_include.<openssl/')
# What else lies in work/, whatever its name, is none of make's business; nor is a
# folder or a pipe with the name of an answer.
answers := $(wildcard $(patsubst lessons/%,work/%.c,$(wildcard lessons/[0-9][0-9]-*)))
answers := $(shell for answer in $(answers); do \
    [ ! -f $$answer ] || echo $$answer; done)
needs_openssl := $(call using_openssl,lessons/*/*.c common/*.c tests/*/*.c $(answers))
openssl_header := $(if $(filter-out cc gcc clang,$(CC)),,$(wildcard \
    /usr/include/openssl/opensslv.h))
openssl_version := $(shell $(if $(openssl_header),cat $(openssl_header),\
    $(CC) -E -dM -x c -include openssl/opensslv.h /dev/null 2>/dev/null) | \
    sed -nE 's/.*define OPENSSL_VERSION_TEXT .*"OpenSSL ([^ "]+).*/\1/p')
have_openssl := $(filter-out 0.% 1.%,$(openssl_version))

# Lesson 28 needs the header of Linux 6.1 or later: the name below is new in it.
# musl-gcc does not look where it is.
using_uring = $(shell grep -ls '^.include <linux/io_uring.h>' $1)
needs_uring := $(call using_uring,lessons/*/*.c tests/*/*.c $(answers))
kernel_headers := $(if $(filter musl-gcc,$(notdir $(CC))),-idirafter /usr/include \
    $(addprefix -idirafter ,$(wildcard /usr/include/$(shell uname -m)-linux-gnu)))
headers_for = $(if $(kernel_headers),$(if $(call using_uring,$1),$(kernel_headers)))
uring_header := $(firstword $(wildcard /usr/include/linux/io_uring.h))
have_uring := $(if $(uring_header),$(shell grep -ls IORING_SETUP_DEFER_TASKRUN $(uring_header)))
without_openssl := $(if $(have_openssl),,$(needs_openssl))
without_uring := $(if $(have_uring),,$(needs_uring))
left_out := $(without_openssl) $(without_uring)

# A program is one C file, linked with modules. The compiler also writes NAME.d,
# which says what headers it read, so that make builds anew when one changes. In
# an old C library, dlopen and threads are libraries of their own.
define BUILD_PROGRAM
@mkdir -p $(@D)
$(COMPILE) $(LINKING) -Icommon -MMD -MP -MF $@.d -MT $@ -o $@ $(source) \
    $(call headers_for,$(source)) \
    $(filter %.o,$^) $(filter %.a,$^) $(LIBRARIES) -ldl -lpthread \
    $(if $(filter $(source),$(needs_openssl)),-lssl -lcrypto)
endef
source = $(firstword $(filter %.c,$^))

lessons := $(filter-out $(patsubst lessons/%/,%,$(dir $(left_out))), \
    $(notdir $(wildcard lessons/[0-9][0-9]-*)))
programs := $(lessons:%=$(BUILD)/%)
exercises := $(lessons:%=$(BUILD)/exercise/%)
solutions := $(lessons:%=$(BUILD)/solution/%)
modules := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(left_out),$(wildcard common/*.c)))

all: certs $(programs) $(exercises) $(solutions) tools left-out ## build everything into build/

# The program of lesson 02-tcp-server is lessons/02-tcp-server/tcp-server.c. All
# other files in that folder, but exercise.c and solution.c, are its modules.
program_of = lessons/$1/$(patsubst $(firstword $(subst -, ,$1))-%,%,$1).c
modules_of = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(program_of) \
    %/exercise.c %/solution.c,$(wildcard lessons/$1/*.c)))
.SECONDEXPANSION:
$(programs): $(BUILD)/%: $$(call program_of,$$*) $$(call modules_of,$$*)
$(exercises): $(BUILD)/exercise/%: lessons/%/exercise.c
$(solutions): $(BUILD)/solution/%: lessons/%/solution.c
$(answers:%.c=$(BUILD)/%): $(BUILD)/work/%: work/%.c
$(programs) $(exercises) $(solutions) $(answers:%.c=$(BUILD)/%): $(BUILD)/common.a $(BUILD)/flags
	$(BUILD_PROGRAM)

# Your answer may use what GNU adds to C, and no warning keeps it from running.
# The tests have right answers of their own in tests/right, built in the same way.
$(BUILD)/work/% $(BUILD)/right/%: private STANDARD := gnu17
$(BUILD)/work/% $(BUILD)/right/%: private WARNINGS := $(filter-out -Wpedantic,$(WARNINGS))
$(BUILD)/work/% $(BUILD)/right/%: private WERROR :=
$(BUILD)/work/% $(BUILD)/right/%: private LIBRARIES := -lm

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -Icommon -MMD -MP -c -o $@ $< $(call headers_for,$<)

$(BUILD)/common.a: $(modules)
	@rm -f $@
	$(AR) rcs $@ $^

check-NN: ## check your answer to lesson NN, as `scripts/learn check NN` does
	@echo 'make: put the number of a lesson for NN, as in `make check-01`'

check-%:
	@scripts/learn check $*

test: ## run every test
	scripts/test

clean: ## delete build/ (never work/, where your answers are)
	rm -rf build

help: ## say this
	@awk -F ':.*## ' '/^[a-zA-Z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' \
	    Makefile

# ---- From here on: what only the tests and the authors need -----------------

.PHONY: all certs tools left-out wrong check-NN test sanitize fuzz no-clang \
    torture bench pictures lint format clean help FORCE
.DELETE_ON_ERROR:
# Every core is used unless the command line says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules

HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
    -fstack-clash-protection -fPIE
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer
LINKING = $(LINKER) $(if $(SANITIZE),,-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
# With a library as large as OpenSSL's, gold takes a third of the time of GNU ld.
LINKER := $(if $(filter-out cc gcc clang,$(CC)),,$(and \
    $(wildcard /usr/bin/ld.gold),-fuse-ld=gold))

# Everything is built anew for another compiler, with other flags or modules, and
# when this file has changed, which has flags for some targets only.
flags := $(COMPILE) $(notdir $(modules))
$(BUILD)/flags: Makefile
	@mkdir -p $(@D)
	@echo '$(flags)' >$@
ifneq ($(flags),$(file <$(BUILD)/flags))
$(BUILD)/flags: FORCE
endif

wanted := $(if $(openssl_version),OpenSSL 3 (this is \
    $(openssl_version)),the headers of OpenSSL)
lessons_of = $(sort $(patsubst lessons/%/,%,$(dir $(filter lessons/%,$1))))
left-out:
ifneq ($(without_openssl),)
	@echo 'make: left out, for want of $(wanted): $(call lessons_of,$(without_openssl))'
endif
ifneq ($(without_uring),)
	@echo 'make: left out, for want of the headers of Linux 6.1: $(call lessons_of,$(without_uring))'
endif

# The certificates that servers and clients show each other. All builds share
# them. They take the longest, so `all` begins with them.
certs: $(and $(have_openssl),$(filter lessons/%,$(needs_openssl)),$(shell \
    command -v openssl),build/certs/table)

build/certs/table: scripts/certs scripts/lib/certificates scripts/lib/sign.bash \
    $(if $(shell find build/certs -size 0 2>/dev/null),FORCE)
	@scripts/certs

# names_of FOLDER: its C files that can be built here, without the .c.
names_of = $(patsubst $1/%.c,%,$(filter-out $(left_out),$(wildcard $1/*.c)))
preloads := faults memory names wakes zlib
peers := $(patsubst %,$(BUILD)/peers/%,$(call names_of,tests/peers))
libraries := $(preloads:%=$(BUILD)/tests/%.so)
helpers := $(patsubst %,$(BUILD)/tests/%,$(filter-out $(preloads),$(call names_of,tests/lib)))
torments := $(patsubst %,$(BUILD)/tests/%,$(call names_of,tests/torture))
mistakes := $(patsubst tests/wrong/%.patch,$(BUILD)/wrong/%,$(wildcard $(lessons:%=tests/wrong/%/*.patch)))

tools: certs $(peers) $(helpers) $(torments) $(libraries) ## build what tests and checks need

wrong: $(mistakes) ## build the wrong answers that the checks must catch

right_answers := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard $(lessons:%=tests/right/%/*.c)))
$(right_answers): $(BUILD)/%: tests/%.c
$(right_answers): private needs_openssl = $(call using_openssl,$(source))

$(peers): $(BUILD)/peers/%: tests/peers/%.c
$(helpers): $(BUILD)/tests/%: tests/lib/%.c
$(torments): $(BUILD)/tests/%: tests/torture/%.c
$(mistakes): %: %.c
$(peers) $(helpers) $(torments) $(mistakes) $(right_answers): $(BUILD)/common.a $(BUILD)/flags
	$(BUILD_PROGRAM)

# Lesson 26 uses OpenSSL if it is there, and says so if it is not.
$(filter $(BUILD)/26-%,$(programs)): private LIBRARIES := $(if $(have_openssl),-lssl -lcrypto)

# These modules of lessons have tests of their own.
$(BUILD)/tests/tell-handshake: $(BUILD)/lessons/36-xray/handshake.o
$(BUILD)/tests/tell-data: $(addprefix $(BUILD)/lessons/36-xray/,bytes.o head.o lookup.o \
    socks.o)
$(BUILD)/tests/tell-message: $(addprefix $(BUILD)/lessons/36-xray/,control.o group.o peer.o \
    report.o)
$(BUILD)/tests/tell-histogram: $(BUILD)/lessons/26-load-generator/histogram.o
$(BUILD)/tests/tell-response: $(BUILD)/lessons/26-load-generator/response.o
$(BUILD)/tests/tell-network: $(BUILD)/lessons/33-socks-proxy/network.o
$(BUILD)/tests/tell-url: $(BUILD)/lessons/31-http-client/url.o

# A wrong answer is a patch on the solution. What it is warned of is its mistake.
$(mistakes:=.c): $(BUILD)/wrong/%.c: tests/wrong/%.patch lessons/$$(*D)/solution.c
	@mkdir -p $(@D)
	@cp lessons/$(*D)/solution.c $@
	@patch $@ $< >/dev/null
$(mistakes): private WARNINGS := -w
# Asking each of a thousand wrong answers whether it includes OpenSSL takes seconds;
# it does where the solution does.
with_openssl := $(patsubst lessons/%/solution.c,%,$(needs_openssl))
$(mistakes): private needs_openssl = $(if $(filter $(notdir $(@D)),$(with_openssl)),$(source))

# The flags of some programs differ, unless the caller has said what they are.
ifeq ($(origin CFLAGS),file)
# In these lessons speed is the subject.
fast := $(foreach lesson,24 25 26 27 28 29 32 33,$(filter $(BUILD)/$(lesson)-%,$(programs)))
fast += $(foreach lesson,26-load-generator 27-tls-event-loop 28-io-uring-server \
    29-udp-batch 32-http-server 33-socks-proxy,$(call modules_of,$(lesson)))
$(fast): private CFLAGS := -O2 -g
# These are built fast, and without guards. One wrong answer needs its guards:
# nothing else is sure to notice its mistake.
unguarded := $(peers) $(helpers) $(torments) $(libraries) $(exercises) $(solutions) \
    $(filter-out %/fd-setsize,$(mistakes))
$(unguarded): private CFLAGS := -O0
$(unguarded): private GUARDS := $(if $(SANITIZE),$(SANITIZERS),-fPIE)
# Nearly each command of a test is run by one of these, so they have to be quick.
launchers := $(patsubst %,$(BUILD)/tests/%,bounded forbid inject private)
$(launchers): private GUARDS := -fPIE
# It makes many megabytes.
$(BUILD)/peers/rude: private CFLAGS := -O1
endif

# The tests preload these libraries into programs. glibc declares the address of
# a socket as a union of all its kinds, which -Wpedantic does not allow.
$(libraries): $(BUILD)/tests/%.so: tests/lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) $(filter-out -Wpedantic,$(WARNINGS)) $(WERROR) \
	    -MMD -MP -MF $@.d -MT $@ -shared -fPIC -o $@ $<

# The client that checks the answers to lesson 09.
ifneq ($(and $(have_openssl),$(filter 08-%,$(lessons))),)
tools: $(BUILD)/08-ssl-wrap
endif

# What lesson 13 looks for when it runs.
ifneq ($(and $(have_openssl),$(filter 13-%,$(lessons))),)
tools: $(BUILD)/13-tls.so
endif
$(BUILD)/13-tls.so: common/tls.c common/deadline.c common/tls.h common/deadline.h $(BUILD)/flags
	$(COMPILE) -shared -fPIC -o $@ $(filter %.c,$^) -lssl -lcrypto

fuzzers := $(call names_of,tests/fuzz)
sources := $(wildcard lessons/*/*.[ch] common/*.[ch] tests/*/*.[ch] tests/right/*/*.c)

# How long each parser is fed; its corpus is kept in build/fuzz/corpus/, and
# what is worth keeping for ever in tests/fuzz/corpus/.
FUZZ_SECONDS ?= 10
CLANG ?= clang
fuzz := $(BUILD)/fuzz
$(fuzzers:%=$(fuzz)/%): $(fuzz)/%: tests/fuzz/%.c $(sources)
	@mkdir -p $(fuzz)/corpus/$*
	$(CLANG) -std=c17 -O1 -g $(WARNINGS) -Wno-missing-prototypes -Icommon \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    -o $@ $< $(filter-out $(needs_openssl),$(wildcard common/*.c)) \
	    $(foreach lesson,26-load-generator 31-http-client 32-http-server \
	    33-socks-proxy 36-xray,\
	    $(wildcard lessons/$(lesson)/$*.c)) $(wildcard lessons/36-xray/bytes.c)

.PHONY: $(fuzzers:%=fuzz-%)
$(fuzzers:%=fuzz-%): fuzz-%: $(fuzz)/%
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=5 -artifact_prefix=$(fuzz)/ \
	    $(fuzz)/corpus/$* $(wildcard tests/fuzz/corpus/$*) >$(fuzz)/$*.log 2>&1 || \
	    { cat $(fuzz)/$*.log; exit 1; }
	@echo "$*: no finding; $$(grep '^Done' $(fuzz)/$*.log)"

fuzz: $(if $(shell command -v $(CLANG)),$(fuzzers:%=fuzz-%),no-clang) ## feed each parser what nobody would think of

no-clang:
	@echo 'make: nothing is fuzzed: there is no $(CLANG)'

sanitize: ## run the tests again under the sanitizers
	SANITIZE=1 scripts/test tests/lessons tests/exercises

torture: ## make everything fail that can fail, and see what becomes of it
	scripts/torture
	scripts/torture --analysis
	scripts/torture --flakes

# A stranger that is measured; who has no libuv does without.
$(BUILD)/bench/libuv-echo: tests/bench/libuv-echo.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) -o $@ $< -luv

bench: ## measure 25's echo server against others
	scripts/bench

pictures: all ## draw each lesson's xray.svg anew, from a real run
	for lesson in $(lessons); do \
	    scripts/xray -s lessons/$$lesson/xray.svg $$lesson || exit 1; \
	done

scripts := $(filter-out scripts/lib,$(wildcard scripts/*)) \
    $(wildcard scripts/lib/*.bash .ci/run tests/mutate tests/lib/*.bash) \
    $(wildcard tests/torture/*.bash) tests/lib/by-hand tests/lib/exercise-text \
    tests/torture/tls-matrix
suites := $(wildcard tests/*/*.bats tests/*/*/*.bats)

lint: ## check format and style of all C and all shell
	scripts/setup lint
	# A folder inside of a lesson has what need not compile.
	clang-format --dry-run -Werror $(sources) $(wildcard lessons/*/*/*.[ch])
	shellcheck $(scripts)
	# A test's variables are its helpers', and what one test sets another lacks.
	shellcheck -s bats -e SC2030,SC2031,SC2034,SC2153,SC2154 $(suites)
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -Icommon \
	    --enable=warning,style,performance,portability \
	    --suppress=missingIncludeSystem --suppress=toomanyconfigs $(sources)
	# The answers in tests/right are written as learners write, in many styles.
	printf '%s\n' $(filter-out tests/right/%,$(filter %.c,$(sources))) | xargs -P "$$(nproc)" -n 1 \
	    sh -c 'clang-tidy --quiet "$$1" -- -std=c17 -Icommon 2>/dev/null' -

format: ## lay out all C as .clang-format has it
	clang-format -i $(sources) $(wildcard lessons/*/*/*.[ch])

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/lessons/*/*.d \
    $(BUILD)/wrong/*/*.d $(BUILD)/right/*/*.d)
