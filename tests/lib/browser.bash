# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# A stranger that people use every day: Chromium, without a window. All that it
# writes is in the test's own folder, and it reaches no other machine.

# need_browser: skips the test, aloud, where there is no Chromium. (In Ubuntu,
# chromium-browser may be a script that only says how to get one.)
need_browser() {
    local name
    for name in chromium-headless-shell chromium chromium-browser \
        google-chrome; do
        if bounded "$name" --version >/dev/null 2>&1; then
            browser=$name
            return
        fi
    done
    skip "no chromium"
}

# browse PROFILE URL: opens the page in a browser with this profile, to its end.
# Then $OUT has the page as it is after all of it has been loaded. The same
# PROFILE another time has the same cache. The names localhost and
# server.example are this machine; no other name can be found.
#
# The options leave out what a test cannot have: root can have no sandbox, a
# container has little shared memory, and a browser with some spare time asks
# its maker for updates.
browse() {
    HOME=$BATS_TEST_TMPDIR SECONDS_ALLOWED=${BROWSER_SECONDS:-20} \
        try "$browser" --headless --no-sandbox --disable-gpu \
        --disable-dev-shm-usage --disable-background-networking \
        --user-data-dir="$BATS_TEST_TMPDIR/profile-$1" \
        --host-resolver-rules="MAP server.example 127.0.0.1,\
MAP * ~NOTFOUND,EXCLUDE 127.0.0.1,EXCLUDE localhost" \
        --dump-dom "$2"
}

# trust_root: from now on, the test's browsers trust our root. Skips the test,
# aloud, where the program is missing that writes their list of roots.
trust_root() {
    local roots=$BATS_TEST_TMPDIR/.pki/nssdb
    skip_unless certutil
    mkdir -p "$roots"
    certutil -d "sql:$roots" -N --empty-password
    certutil -d "sql:$roots" -A -t C,, -n root -i build/certs/root.pem
}
