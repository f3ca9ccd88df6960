#!/usr/bin/env bats
# common/number: a table of what goes in and what comes out.

load ../lib/common

tell=$BUILD/tests/tell-number

# expect_table LEAST MOST: each line of standard input is `TEXT -> RESULT`, TEXT
# with printf's escapes.
expect_table() {
    local line text count=0
    while IFS= read -r line; do
        text=${line% -> *}
        # The x keeps a newline at the end of TEXT.
        text=$(printf '%bx' "$text")
        expect_equal "${line% -> *}" "${line##* -> }" \
            "$(bounded "$tell" "$1" "$2" "${text%x}")"
        count=$((count + 1))
    done
    ((count > 0))
}

@test "number_parse reads digits" {
    expect_table 0 4294967295 <<'END'
0 -> 0
1 -> 1
9 -> 9
10 -> 10
65536 -> 65536
1234567890 -> 1234567890
000 -> 0
00080 -> 80
010 -> 10
00000000000000000000000000000000000000000000000012 -> 12
END
}

@test "number_parse refuses what is not digits alone, with EINVAL" {
    expect_table 0 4294967295 <<'END'
 -> Invalid argument
+1 -> Invalid argument
-1 -> Invalid argument
-0 -> Invalid argument
 1 -> Invalid argument
1  -> Invalid argument
\t1 -> Invalid argument
1\n -> Invalid argument
\n -> Invalid argument
1x -> Invalid argument
x1 -> Invalid argument
1 2 -> Invalid argument
1.5 -> Invalid argument
1. -> Invalid argument
1,000 -> Invalid argument
1e3 -> Invalid argument
0x10 -> Invalid argument
1/ -> Invalid argument
1: -> Invalid argument
/ -> Invalid argument
: -> Invalid argument
nan -> Invalid argument
٣ -> Invalid argument
99999999999999999999999999999999x -> Invalid argument
-99999999999999999999999999999999 -> Invalid argument
END
}

@test "number_parse accepts the least and the most, and nothing beyond" {
    expect_table 1 255 <<'END'
0 -> Numerical result out of range
000 -> Numerical result out of range
1 -> 1
255 -> 255
256 -> Numerical result out of range
0256 -> Numerical result out of range
511 -> Numerical result out of range
END
    expect_table 1000 1000 <<'END'
999 -> Numerical result out of range
1000 -> 1000
1001 -> Numerical result out of range
END
    expect_table 0 0 <<'END'
0 -> 0
1 -> Numerical result out of range
END
}

@test "number_parse reads the largest number of its type, and no larger one" {
    expect_table 0 18446744073709551615 <<'END'
18446744073709551615 -> 18446744073709551615
0018446744073709551615 -> 18446744073709551615
18446744073709551616 -> Numerical result out of range
18446744073709551617 -> Numerical result out of range
99999999999999999999 -> Numerical result out of range
340282366920938463463374607431768211457 -> Numerical result out of range
END
    # These are 1 and 80 to a program that lets a number overflow.
    expect_table 0 65535 <<'END'
18446744073709551617 -> Numerical result out of range
18446744073709551696 -> Numerical result out of range
4294967297 -> Numerical result out of range
65537 -> Numerical result out of range
END
}
