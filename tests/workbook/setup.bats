#!/usr/bin/env bats
# scripts/setup, on machines that lack something: a PATH that has little.

load ../lib/common

# machine TOOL...: a PATH with these and with what the script itself runs on.
machine() {
    local tool
    BIN=$BATS_TEST_TMPDIR/bin
    mkdir -p "$BIN"
    for tool in bash env cat readlink unshare "$@"; do
        case $tool in
        bash | env | cat | readlink) ln -sf "$(type -P "$tool")" "$BIN/$tool" ;;
        *) ln -sf "$(type -P true)" "$BIN/$tool" ;;
        esac
    done
}

# A package manager, or sudo, that writes down what it was told.
pretend() {
    rm -f "$BIN/$1"
    printf '#!/usr/bin/env bash\necho "%s $*" >>"%s/told"\n%s\n' "$1" \
        "$BATS_TEST_TMPDIR" "${2-}" >"$BIN/$1"
    chmod +x "$BIN/$1"
}

setup_on_it() {
    run --separate-stderr env PATH="$BIN" scripts/setup "$@" </dev/null
}

# As somebody who is not root: the script looks at EUID, which bash sets.
setup_as_user() {
    local copy=$BATS_TEST_TMPDIR/scripts
    mkdir -p "$copy"
    cp -R scripts/lib "$copy/"
    sed 's/EUID/1000/g' scripts/setup >"$copy/setup"
    chmod +x "$copy/setup"
    run --separate-stderr env PATH="$BIN" bash "$copy/setup" "$@" </dev/null
}

@test "setup says nothing where nothing is missing" {
    run -0 --separate-stderr scripts/setup
    expect_equal output "" "$output$stderr"
    run -0 --separate-stderr scripts/setup test
    expect_equal output "" "$output$stderr"
}

@test "setup costs under 50 ms where nothing is missing" {
    local spent setup
    spend scripts/setup
    setup=$spent
    ((spent >= 50)) || return 0
    # Where it takes a millisecond or more to start a process, it costs less than
    # fifty of them.
    spend start_fifty
    echo "setup: $setup ms, and fifty processes: $spent ms" >&2
    ((setup < spent))
}

# spend COMMAND...: sets spent to the milliseconds of processor time that it costs,
# the best of five. How busy the machine is makes no difference to that.
spend() {
    local TIMEFORMAT='%3U %3S' user system
    spent=1000000
    for _ in 1 2 3 4 5; do
        read -r user system < <({ time "$@"; } 2>&1)
        user=$((10#${user/./} + 10#${system/./}))
        ((user > spent)) || spent=$user
    done
}

start_fifty() {
    local i
    for i in {1..50}; do
        /bin/true
    done
}

@test "setup as root installs what is missing, and says what and why" {
    machine cc make
    pretend apt-get
    ((EUID == 0)) || skip "not root"
    setup_on_it
    expect_equal status 0 "$status"
    [[ $stderr == *"missing: bats (checks your exercises, runs the tests)"* ]]
    [[ $(<"$BATS_TEST_TMPDIR/told") == "apt-get update"$'\n'"apt-get install \
-y --no-install-recommends "*bats* ]]
}

@test "setup without root and sudo prints the command to type" {
    local manager
    for manager in apt-get dnf apk pacman zypper; do
        machine cc make
        pretend "$manager"
        setup_as_user
        expect_equal status 1 "$status"
        [[ $stderr == *"missing: bats ("*"setup: to install: su -c '$manager "* ]]
        [[ ! -e $BATS_TEST_TMPDIR/told ]]
        rm "$BIN/$manager"
    done
}

@test "setup uses a sudo that asks no password, and offers any other" {
    machine cc make
    pretend apt-get
    # shellcheck disable=SC2016 # expanded when it runs
    pretend sudo '[[ $1 == -n ]] || "$@"'
    setup_as_user
    expect_equal status 0 "$status"
    grep -q '^apt-get install ' "$BATS_TEST_TMPDIR/told"
    rm "$BATS_TEST_TMPDIR/told"
    pretend sudo 'exit 1'
    setup_as_user
    expect_equal status 1 "$status"
    [[ $stderr == *"setup: to install: sudo apt-get install "* ]]
    run ! grep -q '^apt-get' "$BATS_TEST_TMPDIR/told"
}

@test "setup says that bats is too old, and what to type" {
    machine cc make openssl
    pretend bats 'echo Bats 1.2.1'
    setup_on_it
    expect_equal status 1 "$status"
    [[ $stderr == *"too old: Bats 1.2.1 ("*": 1.7 is needed"*"setup: to install \
a newer one, with npm: npm install "* ]]
    setup_on_it doctor
    [[ $output == *"too old  bats "* ]]
}

@test "setup gets a newer bats by npm, which scripts then find" {
    machine cc make openssl pgrep mkdir chmod
    pretend bats 'echo Bats 1.2.1'
    mkdir -p "$BATS_TEST_TMPDIR/scripts"
    cp -R scripts/lib scripts/setup "$BATS_TEST_TMPDIR/scripts/"
    rm "$BIN/mkdir" "$BIN/chmod"
    ln -s "$(type -P mkdir)" "$(type -P chmod)" "$BIN/"
    # shellcheck disable=SC2016 # expanded when it runs
    pretend npm 'new=$4/node_modules/bats/bin
        mkdir -p "$new"
        printf "#!/usr/bin/env bash\necho Bats 1.11.0\n" >"$new/bats"
        chmod +x "$new/bats"'
    run --separate-stderr env PATH="$BIN" \
        "$BATS_TEST_TMPDIR/scripts/setup" </dev/null
    expect_equal status 0 "$status"
    grep -qx 'npm install --no-save --prefix build/npm bats' \
        "$BATS_TEST_TMPDIR/told"
    run -0 --separate-stderr env PATH="$BIN" \
        "$BATS_TEST_TMPDIR/scripts/setup" </dev/null
    expect_equal "second time" "" "$output$stderr"
}

@test "setup says that a tool is there, but does not work" {
    local tool asked line
    for tool in python3 openssl cc make bats clang shellcheck; do
        machine cc make bats openssl pgrep python3 patch clang clang-format \
            clang-tidy cppcheck shellcheck
        pretend "$tool" 'exit 1'
        asked="$tool --version"
        [[ $tool != openssl ]] || asked='openssl version'
        setup_on_it doctor
        expect_equal status 0 "$status"
        printf -v line '  broken   %-16s It is there, but does not work: "%s" fails.' \
            "$tool" "$asked"
        expect_equal "$tool" "$line" "$(grep broken <<<"$output")"
        setup_on_it lint
        expect_equal status 1 "$status"
        [[ $stderr == *"setup: $tool is there, but does not work: \"$asked\" fails ("* ]]
    done
}

@test "setup says so when it knows no package manager" {
    machine cc make
    setup_on_it
    expect_equal status 1 "$status"
    [[ $stderr == *"setup: no package manager that it knows: apt-get dnf "* ]]
}

@test "setup test also wants python3 and patch, setup lint the linters" {
    machine cc make bats
    pretend apt-get
    setup_as_user test
    [[ $stderr == *"missing: python3 "*"missing: patch "* ]]
    [[ $stderr != *shellcheck* ]]
    setup_as_user lint
    [[ $stderr == *"missing: clang-tidy "*"missing: shellcheck "* ]]
    setup_as_user
    [[ $stderr != *python3* ]]
}

@test "setup doctor tells what is there, what is missing, and what works" {
    machine cc make
    setup_on_it doctor
    expect_equal status 0 "$status"
    [[ $output == *"there    cc "*"missing  bats "*"(needed to learn)"* ]]
    [[ $output == *"Works without bats: "* ]]
}

@test "setup explains itself when asked, and when called wrongly" {
    run -0 scripts/setup --help
    [[ $output == "usage: scripts/setup "* ]]
    run -2 scripts/setup dance
    [[ $output == "setup: no such purpose: dance"*"usage: scripts/setup "* ]]
}
