# For tests that run the workbook's own commands: they run in a copy of it, in a
# folder with a space in its name, so that nobody's answers are touched.
load ../lib/common

# make_copy [LESSON...]: a copy with everything built is in $COPY; of these
# lessons only, if any are named.
make_copy() {
    local lesson
    local -a built=()
    COPY="$BATS_FILE_TMPDIR/a copy"
    export COPY
    mkdir -p "$COPY/build"
    cp -R Makefile README.md common lessons scripts tests "$COPY/"
    if (($# > 0)); then
        for lesson in "$COPY"/lessons/[0-9]*; do
            [[ " $* " == *" ${lesson##*/} "* ]] || rm -r "$lesson"
        done
    fi
    # What is built stays built: with its times, so that make believes it.
    mapfile -t built < <(find "$BUILD" -mindepth 1 -maxdepth 1 ! -name asan \
        ! -name fuzz ! -name torture ! -name wrong)
    cp -a "${built[@]}" "$COPY/build/"
    find "$COPY/lessons" "$COPY/tests" "$COPY/common" "$COPY/scripts" \
        "$COPY/Makefile" -exec touch -d '2020-01-01' {} +
}

in_copy() {
    cd "$COPY" || return 1
    rm -rf work
}
