#!/usr/bin/env bats
# common/addr, function by function: tables of what goes in and what comes out.

load ../lib/common

tell=$BUILD/tests/tell-addr

# expect_table COMMAND...: each line of standard input is `TEXT -> RESULT`, TEXT
# with printf's escapes; COMMAND gets TEXT and prints RESULT.
expect_table() {
    local line text count=0
    while IFS= read -r line; do
        text=${line% -> *}
        expect_equal "$text" "${line##* -> }" \
            "$(printf '%b' "$text" | bounded "$@")"
        count=$((count + 1))
    done
    ((count > 0))
}

@test "addr_parse_port takes digits from 0 to 65535, and nothing else" {
    expect_table "$tell" port 0 <<'END'
0 -> 0
1 -> 1
80 -> 80
00080 -> 80
65535 -> 65535
00000000000000000000065535 -> 65535
65536 -> Invalid argument
70000 -> Invalid argument
99999 -> Invalid argument
4294967376 -> Invalid argument
18446744073709551696 -> Invalid argument
340282366920938463463374607431768211536 -> Invalid argument
 -> Invalid argument
+80 -> Invalid argument
-1 -> Invalid argument
-0 -> Invalid argument
 80 -> Invalid argument
80  -> Invalid argument
80\n -> Invalid argument
80x -> Invalid argument
80. -> Invalid argument
80/ -> Invalid argument
80: -> Invalid argument
x80 -> Invalid argument
0x50 -> Invalid argument
8\00080 -> Invalid argument
80\0000 -> Invalid argument
/ -> Invalid argument
: -> Invalid argument
http -> Invalid argument
END
}

@test "addr_parse_port takes no port below the smallest" {
    expect_table "$tell" port 1 <<'END'
0 -> Invalid argument
000 -> Invalid argument
1 -> 1
65535 -> 65535
65536 -> Invalid argument
END
    expect_table "$tell" port 1024 <<'END'
1023 -> Invalid argument
1024 -> 1024
END
}

@test "addr_split takes HOST:PORT and [IPv6]:PORT apart" {
    expect_table "$tell" split <<'END'
localhost:80 -> host localhost port 80
127.0.0.1:80 -> host 127.0.0.1 port 80
a:b -> host a port b
[::1]:80 -> host ::1 port 80
[::]:0 -> host :: port 0
[:]:1 -> host : port 1
[fe80::1%lo]:8080 -> host fe80::1%lo port 8080
[::ffff:127.0.0.1]:65535 -> host ::ffff:127.0.0.1 port 65535
two words:80 -> host two words port 80
END
}

@test "addr_split refuses what is neither" {
    expect_table "$tell" split <<'END'
 -> Invalid argument
: -> Invalid argument
:: -> Invalid argument
:80 -> Invalid argument
localhost -> Invalid argument
localhost: -> Invalid argument
localhost:80:80 -> Invalid argument
localhost:: -> Invalid argument
::1 -> Invalid argument
::1:80 -> Invalid argument
fe80::1:80 -> Invalid argument
[ -> Invalid argument
[] -> Invalid argument
[]:80 -> Invalid argument
[:80 -> Invalid argument
[::1 -> Invalid argument
[::1:80 -> Invalid argument
[::1] -> Invalid argument
[::1]80 -> Invalid argument
[::1]: -> Invalid argument
[::1]:80:80 -> Invalid argument
[::1]x:80 -> Invalid argument
[[::1]:80 -> Invalid argument
[[::1]]:80 -> Invalid argument
[::1]]:80 -> Invalid argument
[localhost]:80 -> Invalid argument
[127.0.0.1]:80 -> Invalid argument
x[::1]:80 -> Invalid argument
::1]:80 -> Invalid argument
localhost]:80 -> Invalid argument
local[host:80 -> Invalid argument
localhost\0000.evil:80 -> Invalid argument
\0000:80 -> Invalid argument
localhost:8\00000 -> Invalid argument
[::1\0000]:80 -> Invalid argument
END
}

# resolve FAMILY TYPE HOST PORT: with tests/lib/etc in the place of /etc.
resolve() {
    status=0
    got=$(bounded "$BUILD/tests/private" -e tests/lib/etc "$tell" resolve \
        "$@" 2>"$BATS_TEST_TMPDIR/err") || status=$?
    ((status != 125)) || skip "this system allows no private network"
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/err")"
}

AF_INET=2 AF_INET6=10 SOCK_STREAM=1 SOCK_DGRAM=2

@test "addr_resolve gives all addresses of a name, of one family or of both" {
    resolve 0 "$SOCK_STREAM" localhost 80
    expect_equal both $'type 1 [::1]:80\ntype 1 127.0.0.1:80' "$got"
    resolve "$AF_INET" "$SOCK_DGRAM" four 80
    expect_equal IPv4 'type 2 127.0.0.4:80' "$got"
    resolve "$AF_INET6" "$SOCK_DGRAM" localhost 65535
    expect_equal IPv6 'type 2 [::1]:65535' "$got"
}

@test "addr_resolve takes numbers, with the interface if need be" {
    resolve 0 "$SOCK_STREAM" 127.0.0.1 0
    expect_equal IPv4 'type 1 127.0.0.1:0' "$got"
    resolve 0 "$SOCK_STREAM" fe80::1%lo 443
    expect_equal IPv6 'type 1 [fe80::1%lo]:443' "$got"
    resolve 0 "$SOCK_STREAM" ::ffff:127.0.0.1 443
    expect_equal mapped 'type 1 [::ffff:127.0.0.1]:443' "$got"
}

@test "addr_resolve says what is wrong, as getaddrinfo does" {
    local port
    resolve 0 "$SOCK_STREAM" nobody.invalid 80
    expect_equal "no such name" "Name or service not known" "$got"
    resolve 9999 "$SOCK_STREAM" localhost 80
    expect_equal family "ai_family not supported" "$got"
    # getaddrinfo would take most of these, 65536 as port 0.
    for port in 65536 -1 +80 ' 80' 80x http ''; do
        resolve 0 "$SOCK_STREAM" localhost "$port"
        expect_equal "port $port" "Servname not supported for ai_socktype" \
            "$got"
    done
}

@test "addr_format writes numbers, and IPv6 in brackets" {
    local all_ones=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    resolve 0 "$SOCK_STREAM" "$all_ones" 65535
    expect_equal longest "type 1 [$all_ones]:65535" "$got"
    expect_equal IPv4 0.0.0.0:0 "$("$tell" format "$AF_INET" 16)"
    expect_equal IPv6 "[::]:0" "$("$tell" format "$AF_INET6" 28)"
}

@test "addr_format says so when an address is of another family, or cut short" {
    expect_equal other "family 1" "$("$tell" format 1 110)"
    expect_equal large "family 65535" "$("$tell" format 65535 128)"
    expect_equal "no family" "family 0" "$("$tell" format "$AF_INET" 1)"
    expect_equal nothing "family 0" "$("$tell" format "$AF_INET" 0)"
    expect_equal "cut IPv4" "family 2" "$("$tell" format "$AF_INET" 15)"
    expect_equal "cut IPv6" "family 10" "$("$tell" format "$AF_INET6" 23)"
}
