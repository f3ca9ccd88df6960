#!/usr/bin/env bats
# The workbook as it arrives on another machine: in a clone whose git would
# change the ends of lines, and in a container for development.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client
    cp .gitattributes "$COPY/"
    cp -R tests/right tests/wrong "$COPY/tests/"
}

setup() {
    in_copy
}

# clone_for_windows: makes a clone as git for Windows does it; sets clone.
clone_for_windows() {
    clone=$BATS_TEST_TMPDIR/clone
    rm -rf .git
    git init -q .
    git add .gitattributes Makefile README.md common lessons scripts tests
    git -c user.name=nobody -c user.email=nobody -c commit.gpgsign=false \
        commit -q -m "All of it"
    git clone -q -c core.autocrlf=true . "$clone"
}

@test "a clone with core.autocrlf=true has the same bytes, and runs" {
    skip_unless git
    clone_for_windows
    local folder
    for folder in Makefile README.md common lessons scripts tests; do
        diff -rq "$folder" "$clone/$folder" >&2
    done
    cd "$clone"
    make -s build/01-tcp-client
    scripts/learn list | grep "01 · A TCP client"
}

@test "the container for development is Debian, as README.md has it" {
    skip_unless python3
    cd "$BATS_TEST_DIRNAME/../.."
    local file=.devcontainer/devcontainer.json option
    python3 -m json.tool "$file" >/dev/null
    local -a options
    mapfile -t options < <(python3 -c 'import json, sys
parts = json.load(open(sys.argv[1]))
print("\n".join([*parts["runArgs"], parts["image"]]))' "$file")
    for option in "${options[@]}"; do
        sed -n '/docker run/,/```/p' README.md | grep -F -- "$option"
    done
    grep -F "scripts/setup test" "$file"
    scripts/setup --help | grep test
}
