#!/usr/bin/env bats
# lessons/36-xray/handshake: what can be seen of TLS on the wire, by a table.

load ../lib/common

# record TYPE BYTES...: a TLS record of them, all hexadecimal.
record() {
    local bytes
    printf -v bytes %s "${@:2}"
    printf '%s0303%04x%s' "$1" $((${#bytes} / 2)) "$bytes"
}

# message TYPE BYTES...: a message of the handshake.
message() {
    local bytes
    printf -v bytes %s "${@:2}"
    printf '%s%06x%s' "$1" $((${#bytes} / 2)) "$bytes"
}

# client_hello [NAME]: as RFC 8446, section 4.1.2, has it.
client_hello() {
    local name extensions=''
    name=$(printf %s "${1-}" | od -An -v -tx1 | tr -d ' \n')
    if [[ -n $name ]]; then
        printf -v extensions '00170000%s%04x%04x00%04x%s' 0000 \
            $((${#name} / 2 + 5)) $((${#name} / 2 + 3)) $((${#name} / 2)) "$name"
    fi
    message 01 0303 "$(printf '%064d' 0)" 20 "$(printf '%064d' 7)" 0002 1301 \
        0100 "$(printf %04x $((${#extensions} / 2)))" "$extensions"
}

tells() {
    expect_equal "$2" "$1" "$("$BUILD/tests/tell-handshake" "${@:2}")"
}

@test "handshake_describe names the handshake, and who is asked for" {
    tells "ClientHello for server.example" \
        "$(record 16 "$(client_hello server.example)")"
    tells "ClientHello" "$(record 16 "$(client_hello)")"
    tells "ClientHello for a?b?" "$(record 16 "$(client_hello 'a b<')")"
    tells "ServerHello, Certificate, ServerHelloDone" "$(record 16 \
        "$(message 02 0303)" "$(message 0b 000000)" "$(message 0e)")"
    tells "ServerHello, Certificate" \
        "$(record 16 "$(message 02 0303)")$(record 16 "$(message 0b 000000)")"
}

@test "handshake_describe counts what is encrypted" {
    tells "7 encrypted bytes" "$(record 17 01020304050607)"
    tells "ServerHello, ChangeCipherSpec, 5 encrypted bytes" \
        "$(record 16 "$(message 02 0303)")$(record 14 01)$(record 17 0102030405)"
    # After ChangeCipherSpec a handshake's messages are not what they look like.
    tells "ChangeCipherSpec, 4 encrypted bytes" \
        "$(record 14 01)$(record 16 "$(message 02)")"
    tells "4 encrypted bytes" "$(record 16 fe000000)"
    tells "16 encrypted bytes" "$(record 15 "$(printf '%032d' 0)")"
}

@test "handshake_describe names an alert" {
    tells "alert close_notify" "$(record 15 0100)"
    tells "alert 42" "$(record 15 022a)"
}

@test "handshake_describe takes nothing else for TLS" {
    tells "no TLS" "$(printf 'GET / HTTP/1.0' | od -An -v -tx1 | tr -d ' \n')"
    tells "no TLS" ""
    tells "no TLS" 16030300
    tells "no TLS" 13030300021234 # one below the first type
    tells "no TLS" 18030300021234 # one above the last
    tells "no TLS" 16020300021234
    tells "no TLS" 16030500021234
    tells "no TLS" 1703034801     # longer than any record
    tells "18432 encrypted bytes" 1703034800
    tells "no TLS" "$(record 17 0102)474554202f"
}

@test "handshake_describe bears being cut anywhere, and counts what it hasn't got" {
    local whole i
    whole=$(record 16 "$(client_hello server.example)")
    for ((i = 2; i < 18; i += 2)); do
        tells "no TLS" "${whole:0:i}"
    done
    for ((; i < ${#whole}; i += 2)); do
        [[ $("$BUILD/tests/tell-handshake" "${whole:0:i}") == "ClientHello"* ]]
    done
    tells "1000 encrypted bytes" "$(record 17 0102030405)" 1005
}
