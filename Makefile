# The one Makefile. `make help` lists what it can do.

CC ?= cc
BUILD ?= build
# What a learner may change: `make CFLAGS=-O0` loses no warning and no guard.
CFLAGS ?= -Og -g

WARNINGS := -Wall -Wextra -Wpedantic -Wformat=2 -Wconversion -Wshadow \
    -Wundef -Wvla -Wimplicit-fallthrough -Wstrict-prototypes \
    -Wmissing-prototypes -Wwrite-strings -Wpointer-arith -Wcast-qual \
    -Wnull-dereference
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
    -fstack-clash-protection -fPIE
LINKING = $(LINKER) $(if $(SANITIZE),,-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -fno-omit-frame-pointer
GUARDS := $(if $(SANITIZE),$(SANITIZERS),$(HARDENING))
WERROR := $(if $(CI),-Werror)

# One step from source to program: every program here is one file, linked
# with the modules beside it, and with those in common/ that lessons have built.
BUILD_PROGRAM = $(CC) -std=c17 $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS) \
    $(LINKING) -Icommon -MMD -MP -MF $@.d -MT $@ -o $@ \
    $(source) $(filter %.o,$^) $(filter %.a,$^) $(if $(filter $(source),$(tls)),-lssl -lcrypto)
source = $(firstword $(filter %.c,$^))

# OpenSSL is for those who include it. Where this compiler finds no headers of
# it, lessons that do are left out, and `make` says which. Who asks whether they
# are there does without, and is not linked with it either: lesson 13.
USES_TLS := '^.include (<openssl/|"tls[.]h")'
ASKS_FOR_TLS := '__has_include.<openssl/'
# These compilers are known to look in /usr/include; asking one takes longer than
# all the rest of a `make` that has nothing to do.
known := $(and $(filter cc gcc clang,$(CC)),$(if $(word 2,$(CC)),,yes))
# With a library as large as OpenSSL's, gold takes a third of the time of GNU ld.
LINKER := $(and $(known),$(wildcard /usr/bin/ld.gold),-fuse-ld=gold)
OPENSSL := $(or $(and $(known),$(wildcard /usr/include/openssl/opensslv.h)),$(shell \
    $(CC) -E -x c -include openssl/opensslv.h /dev/null >/dev/null 2>&1 && echo there))
find_tls = $(shell grep -lsE $(USES_TLS) $1 | xargs -r grep -LE $(ASKS_FOR_TLS))
tls := $(call find_tls,lessons/*/*.c common/*.c tests/*/*.c work/*.c)
missing := $(if $(OPENSSL),,$(tls))
missing_lessons := $(sort $(patsubst lessons/%/,%,$(dir $(filter lessons/%,$(missing)))))
CERTS := $(and $(OPENSSL),$(filter lessons/%,$(tls)),$(shell command -v openssl),build/certs/table)

lessons := $(filter-out $(missing_lessons),$(notdir $(wildcard lessons/[0-9][0-9]-*)))
peers := $(basename $(notdir $(filter-out $(missing),$(wildcard tests/peers/*.c))))
preloads := faults memory names zlib
tools := $(filter-out $(preloads),$(basename $(notdir $(filter-out $(missing),$(wildcard tests/lib/*.c)))))
torments := $(basename $(notdir $(wildcard tests/torture/*.c)))
fuzzers := $(basename $(notdir $(wildcard tests/fuzz/*.c)))
answers := $(basename $(notdir $(wildcard work/[0-9][0-9]-*.c)))
sources := $(wildcard lessons/*/*.[ch] common/*.[ch] tests/*/*.[ch] tests/right/*/*.c)
scripts := $(filter-out scripts/lib,$(wildcard scripts/*)) \
    $(wildcard scripts/lib/*.bash .ci/run tests/mutate tests/lib/*.bash) \
    $(wildcard tests/torture/*.bash) tests/lib/exercise-text \
    tests/torture/tls-matrix
suites := $(wildcard tests/*/*.bats tests/*/*/*.bats)

objects := $(patsubst common/%.c,$(BUILD)/common/%.o,$(filter-out $(missing),$(wildcard common/*.c)))
COMMON := $(if $(objects),$(BUILD)/common.a)

programs := $(addprefix $(BUILD)/,$(lessons))
exercises := $(addprefix $(BUILD)/exercise/,$(lessons))
solutions := $(addprefix $(BUILD)/solution/,$(lessons))
helpers := $(peers:%=$(BUILD)/peers/%) $(addprefix $(BUILD)/tests/,$(tools) $(torments))
libraries := $(preloads:%=$(BUILD)/tests/%.so)
tls_library := $(and $(OPENSSL),$(filter 13-%,$(lessons)),$(BUILD)/13-tls.so)
right_answers := $(patsubst tests/%.c,$(BUILD)/%,$(wildcard $(lessons:%=tests/right/%/*.c)))
mistakes := $(patsubst tests/wrong/%.patch,$(BUILD)/wrong/%,$(wildcard $(lessons:%=tests/wrong/%/*.patch)))

# Every core is used unless the command line says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.PHONY: all tools wrong test bench pictures lint format sanitize fuzz torture \
    clean help FORCE

# The longest job first, so that it is not left to run alone.
all: $(CERTS) $(programs) $(exercises) $(solutions) tools $(tls_library) $(if $(missing_lessons),left-out) ## build everything into build/

tools: $(helpers) $(libraries) $(CERTS) ## build what tests and checks need

.PHONY: left-out
left-out:
	@echo 'make: left out, for want of the headers of OpenSSL: $(missing_lessons)'

# What servers and clients show each other; whatever is built, one set of them.
build/certs/table: scripts/certs scripts/lib/certificates scripts/lib/sign.bash
	@scripts/certs

wrong: $(mistakes) ## build the wrong answers that the checks must catch

# A lesson NN-name has its program in lessons/NN-name/name.c.
number = $(firstword $(subst -, ,$1))
name = $(patsubst $(number)-%,%,$1)
# The modules in a lesson's folder that are its own: all other C files there.
modules = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/$(name).c %/exercise.c \
    %/solution.c,$(wildcard lessons/$1/*.c)))
define lesson_rules
$(BUILD)/$1: lessons/$1/$(name).c $(modules)
$(BUILD)/exercise/$1: lessons/$1/exercise.c
$(BUILD)/solution/$1: lessons/$1/solution.c
.PHONY: check-$(number)
check-$(number): ; @scripts/learn check $1
endef
$(foreach lesson,$(lessons),$(eval $(call lesson_rules,$(lesson))))

# Of these, speed is the subject.
ifeq ($(origin CFLAGS),file)
$(filter $(BUILD)/24-% $(BUILD)/25-% $(BUILD)/26-%,$(programs)): private CFLAGS := -O2 -g
endif

# A wrong answer is a patch on the solution.
.SECONDEXPANSION:
$(mistakes:=.c): $(BUILD)/wrong/%.c: tests/wrong/%.patch lessons/$$(*D)/solution.c
	@mkdir -p $(@D)
	@patch --quiet -o $@ lessons/$(*D)/solution.c $<

# What mostly tests run is built fast: without guards, but for a wrong answer
# that only they are sure to notice.
ifeq ($(origin CFLAGS),file)
unguarded := $(helpers) $(libraries) $(exercises) $(solutions) $(filter-out %/fd-setsize,$(mistakes))
$(unguarded): private CFLAGS := -O0
$(unguarded): private GUARDS := $(if $(SANITIZE),$(SANITIZERS),-fPIE)
# It makes many megabytes.
$(BUILD)/peers/rude: private CFLAGS := -O1
endif
$(mistakes): private WARNINGS := -w
$(mistakes): private tls = $(call find_tls,$(source))
$(mistakes): %: %.c
$(addprefix $(BUILD)/work/,$(answers)): $(BUILD)/work/%: work/%.c
# A learner is warned, in CI too.
$(addprefix $(BUILD)/work/,$(answers)): private WERROR :=
# A right answer in another style is built like a learner's.
$(right_answers): $(BUILD)/%: tests/%.c
$(right_answers): private tls = $(call find_tls,$(source))
$(right_answers): private WERROR :=
$(peers:%=$(BUILD)/peers/%): $(BUILD)/peers/%: tests/peers/%.c
$(addprefix $(BUILD)/tests/,$(tools)): $(BUILD)/tests/%: tests/lib/%.c
$(addprefix $(BUILD)/tests/,$(torments)): $(BUILD)/tests/%: tests/torture/%.c

$(programs) $(exercises) $(solutions) $(helpers) $(mistakes) $(right_answers) \
    $(addprefix $(BUILD)/work/,$(answers)): $(BUILD)/flags $(COMMON)
	@mkdir -p $(@D)
	$(BUILD_PROGRAM)

# Two modules of lessons have tests of their own.
$(BUILD)/tests/tell-hello: $(BUILD)/lessons/36-xray/hello.o
$(BUILD)/tests/tell-histogram: $(BUILD)/lessons/26-load-generator/histogram.o

# Preloaded by tests, so without what belongs to a program. glibc declares the
# address of a socket as a union of all its kinds, which pedants can't match.
$(libraries): $(BUILD)/tests/%.so: tests/lib/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) $(filter-out -Wpedantic,$(WARNINGS)) $(WERROR) \
	    -shared -fPIC -o $@ $<

# What lesson 13 looks for when it runs.
$(BUILD)/13-tls.so: common/tls.c common/deadline.c common/tls.h common/deadline.h $(BUILD)/flags
	$(CC) -std=c17 $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS) -shared -fPIC \
	    -o $@ $(filter %.c,$^) -lssl -lcrypto

$(BUILD)/common/%.o: common/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS) -MMD -MP -c -o $@ $<

$(BUILD)/lessons/%.o: lessons/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS) -Icommon -MMD -MP \
	    -c -o $@ $<

$(BUILD)/common.a: $(objects)
	@rm -f $@
	$(AR) rcs $@ $^

# Another compiler or another flag builds everything anew.
flags := $(CC) $(CFLAGS) $(WARNINGS) $(WERROR) $(GUARDS) $(notdir $(objects))
ifneq ($(flags),$(file <$(BUILD)/flags))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' >$@
endif

# How long each parser is fed; its corpus is kept in build/fuzz/corpus/, and
# what is worth keeping for ever in tests/fuzz/corpus/.
FUZZ_SECONDS ?= 10
CLANG ?= clang
fuzz := $(BUILD)/fuzz
$(fuzzers:%=$(fuzz)/%): $(fuzz)/%: tests/fuzz/%.c $(sources)
	@mkdir -p $(fuzz)/corpus/$*
	$(CLANG) -std=c17 -O1 -g $(WARNINGS) -Wno-missing-prototypes -Icommon \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    -o $@ $< $(filter-out $(tls),$(wildcard common/*.c)) \
	    $(wildcard lessons/36-xray/$*.c)

.PHONY: $(fuzzers:%=fuzz-%)
$(fuzzers:%=fuzz-%): fuzz-%: $(fuzz)/%
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=5 -artifact_prefix=$(fuzz)/ \
	    $(fuzz)/corpus/$* $(wildcard tests/fuzz/corpus/$*) >$(fuzz)/$*.log 2>&1 || \
	    { cat $(fuzz)/$*.log; exit 1; }
	@echo "$*: no finding; $$(grep '^Done' $(fuzz)/$*.log)"

fuzz: $(if $(shell command -v $(CLANG)),$(fuzzers:%=fuzz-%),no-clang) ## feed each parser what nobody would think of

.PHONY: no-clang
no-clang:
	@echo 'make: nothing is fuzzed: there is no $(CLANG)'

test: ## run every test
	scripts/test

sanitize: ## run the tests again under address and undefined-behaviour sanitizers
	SANITIZE=1 scripts/test tests/lessons tests/exercises

torture: ## make everything fail that can fail, and see what becomes of it
	scripts/torture
	scripts/torture --analysis
	scripts/torture --flakes

# A stranger that is measured; who has no libuv does without.
$(BUILD)/bench/libuv-echo: tests/bench/libuv-echo.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -std=c17 $(CFLAGS) -o $@ $< -luv

bench: ## measure 25's echo server against those that one would take from the shelf
	scripts/bench

pictures: all ## draw each lesson's xray.svg anew, from a real run
	for lesson in $(lessons); do \
	    scripts/xray -s lessons/$$lesson/xray.svg $$lesson || exit 1; \
	done

lint: ## check format and style of all C and all shell
	scripts/setup lint
	clang-format --dry-run -Werror $(sources)
	shellcheck $(scripts)
	# A test's variables are its helpers', and what one test sets another lacks.
	shellcheck -s bats -e SC2030,SC2031,SC2034,SC2153,SC2154 $(suites)
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -Icommon \
	    --enable=warning,style,performance,portability \
	    --suppress=missingIncludeSystem --suppress=toomanyconfigs $(sources)
	printf '%s\n' $(filter %.c,$(sources)) | xargs -P "$$(nproc)" -n 1 \
	    sh -c 'clang-tidy --quiet "$$1" -- -std=c17 -Icommon 2>/dev/null' -

format: ## lay out all C as .clang-format has it
	clang-format -i $(sources)

check-NN: ## check your answer to lesson NN, as `scripts/learn check NN` does
	@echo 'make: put the number of a lesson for NN, as in `make check-01`'

clean: ## delete build/ (never work/, where your answers are)
	rm -rf build

help: ## say this
	@awk -F ':.*## ' '/^[a-zA-Z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' \
	    Makefile

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
