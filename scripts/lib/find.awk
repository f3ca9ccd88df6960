# Looks for patterns in the text of a lesson: first file, the patterns, one a line;
# second file, the text. Prints its title, and the two best lines: those that name
# the new calls, then "Break it", then the rest. The exercise is left out, because
# its hints tell too much.

# is_in: a pattern stands in the line as a word, perhaps with an s for the plural.
function is_in(line,    i, at, end, before, after) {
    line = tolower(line)
    for (i = 1; i <= count; i++) {
        at = index(line, pattern[i])
        if (!at) continue
        before = at > 1 ? substr(line, at - 1, 1) : " "
        end = at + length(pattern[i])
        if (substr(line, end, 1) == "s") end++
        after = substr(line, end, 1)
        if (before !~ /[a-z0-9_]/ && after !~ /[a-z0-9_]/) return 1
    }
    return 0
}
function keep(rank, line) {
    if (kept[rank]++ < 2) lines[rank, kept[rank]] = line
}
FNR == NR { pattern[++count] = tolower($0); next }
FNR == 1 { title = substr($0, 3) }
/^## / { section = substr($0, 4) }
/^```/ { code = !code; next }
section == "Exercise" || /^#/ { next }
is_in($0) {
    if (section == "") keep(1, $0)
    else keep(section == "Break it" ? 2 : 3, section ": " $0)
}
END {
    for (rank = 1; rank <= 3; rank++)
        for (i = 1; i <= 2 && i <= kept[rank] && shown < 2; i++) {
            if (!shown++) print title
            print "  " lines[rank, i]
        }
}
