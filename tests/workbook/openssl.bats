#!/usr/bin/env bats
# What make does with lessons that need OpenSSL, where there is none.

load ../lib/common

# A compiler that finds no header of OpenSSL's, as on a machine without them.
setup() {
    CC=$BATS_TEST_TMPDIR/cc
    cat >"$CC" <<'END'
#!/bin/sh
for argument; do
    case $argument in *openssl/*) exit 1 ;; esac
done
exec cc "$@"
END
    chmod +x "$CC"
}

plain_make() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CI make "$@"
}

@test "make leaves out what needs OpenSSL where it is missing, and says so" {
    run -0 plain_make -n all wrong CC="$CC" BUILD="$BATS_TEST_TMPDIR/build"
    [[ $output == *"make: left out, for want of the headers of OpenSSL: \
"*08-ssl-wrap* ]]
    [[ $output == *build/07-timeouts* && $output == *build/wrong/07-timeouts/* ]]
    expect_equal "what is made for it" "" \
        "$(grep -E 'tls\.[co]|/(build|wrong|solution|\
exercise)/08-|-lssl|scripts/certs' <<<"$output" | grep -v 'left out')"
}

@test "README and doctor name the lessons that need OpenSSL" {
    local left
    run -0 plain_make -s left-out have_openssl= BUILD="$BATS_TEST_TMPDIR/build"
    left=$(grep -oE '[0-9]{2}-[a-z]' <<<"$output" | cut -d- -f1 | paste -sd ' ')
    # 08 to 12 are five; the others are named one by one.
    expect_equal "what make leaves out" "08 09 10 11 12 27 31 32 34" "$left"
    run -0 scripts/setup doctor
    [[ $output == *"without OpenSSL 3: "*" all lessons but 08 to 12, 27, 31, 32 and 34"* ]]
    [[ $(tr '\n' ' ' <README.md) == *"Lessons 08 to 12, 27, 31, 32 and 34 also need OpenSSL 3"* ]]
}

@test "make links OpenSSL to who needs it, and to nobody else" {
    local program
    skip_unless ldd
    for program in 08-ssl-wrap peers/rude-tls; do
        [[ ! -e $BUILD/$program ]] || ldd "$BUILD/$program" | grep -q libssl
    done
    for program in 01-tcp-client 07-timeouts peers/rude tests/bounded; do
        expect_equal "$program" "" "$(ldd "$BUILD/$program" | grep libssl)"
    done
}

@test "make says nothing of OpenSSL where it is" {
    [[ -e build/certs/table ]] || skip "OpenSSL is not installed"
    run -0 plain_make -n all
    [[ $output != *"left out"* ]]
}

@test "make leaves out what needs OpenSSL 3 where an older one is, and says so" {
    mkdir -p "$BATS_TEST_TMPDIR/include/openssl"
    echo '# define OPENSSL_VERSION_TEXT "OpenSSL 1.1.1w  11 Sep 2023"' \
        >"$BATS_TEST_TMPDIR/include/openssl/opensslv.h"
    run -0 plain_make -n all BUILD="$BATS_TEST_TMPDIR/build" \
        openssl_header="$BATS_TEST_TMPDIR/include/openssl/opensslv.h"
    [[ $output == *"make: left out, for want of OpenSSL 3 (this is 1.1.1w): \
"*08-ssl-wrap* ]]
    [[ $output == *build/07-timeouts* ]]
    expect_equal "what is made for it" "" \
        "$(grep -E 'exercise/08-|-lssl|scripts/certs' <<<"$output" | grep -v 'left out')"
}
