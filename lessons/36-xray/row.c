#include "row.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum {
    MARGINS = 3,         /* the lifeline, a space before the text, one after */
    UNACKNOWLEDGED = 16, /* characters that ", N unacked" may take */
    NARROWEST = 16,      /* characters of a column, at the least */
    LONGEST_WORD = 26,   /* a longer one is cut: "IP_DROP_SOURCE_MEMBERSHIP," */
    NARROW = 24,         /* a column of fewer characters is narrow */
    PARTING = 30,        /* in one of fewer, a name may take two rows */
    FIRST_ROOM = 64,     /* rows */
    CALL_BYTES = 1024,   /* of a call in words, with its result */
    ARROW_MARGINS = 5,   /* a lifeline, two dashes or heads, two blanks */
    LEAST_KEPT = 3,      /* characters of a label before the dots: "FIN" */
};

/* Stands for what is left out of a label. */
static const char dots[] = " ...";

/* What stands before each row of a text but the first: in a column that is
 * narrow, and in one that is not. */
static const char narrow_indent[] = "  ";
static const char indent[] = "    ";

/* ---- places ---------------------------------------------------------------*/

static bool has_strangers(const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (event->column == PICTURE_NOBODY)
            return true;
        if (picture_is_arrow(event) && event->to == PICTURE_NOBODY)
            return true;
    }
    return false;
}

size_t row_places(const struct picture *picture) {
    if (has_strangers(picture))
        return picture->columns + 1;
    return picture->columns;
}

/* The last column stands at the left, and those that we do not watch at the
 * right of all columns. */
static size_t place_of(const struct picture *picture, int column) {
    if (column == PICTURE_NOBODY)
        return picture->columns;
    return picture->columns - 1 - (size_t)column;
}

const char *row_name_at(const struct picture *picture, size_t place) {
    int column = PICTURE_NOBODY;
    if (place < picture->columns)
        column = (int)(picture->columns - 1 - place);
    return picture_name(picture, column);
}

const char *row_format_name(const struct picture *picture, size_t place,
                            size_t room, char *text) {
    (void)snprintf(text, ROW_TEXT_BYTES, "%s", row_name_at(picture, place));
    utf8_shorten(text, room);
    return text;
}

/* ---- rows -----------------------------------------------------------------*/

/* Returns a new row at the end, which is good until the next one is added; or
 * NULL, and then rows->lacks_some says so. */
static struct row *add_row(struct rows *rows) {
    if (rows->count == rows->room) {
        size_t room = rows->room * 2;
        if (room == 0)
            room = FIRST_ROOM;
        struct row *all = realloc(rows->all, room * sizeof *all);
        if (all == NULL) {
            rows->lacks_some = true;
            return NULL;
        }
        rows->all = all;
        rows->room = room;
    }
    struct row *row = &rows->all[rows->count];
    *row = (struct row){.state = ""};
    rows->count++;
    return row;
}

/* Whether a line may end before the character at `at`, which is not the first:
 * it must be a blank. A result stays beside its equals sign, a unit beside its
 * number, and the dots of a call that waits beside the call. */
static bool may_break(const char *text, size_t at) {
    static const char unit[] = " ms)";
    const char *next = text + at;
    bool is_result = text[at - 1] == '=';
    bool is_unit = strncmp(next, unit, strlen(unit)) == 0;
    bool is_dots = strcmp(next, dots) == 0;
    if (is_result || is_unit || is_dots)
        return false;
    return *next == ' ';
}

/* The last place within room characters where a reader expects the end of a
 * line: before a blank; or if there is no such blank, behind a parenthesis or
 * the bar between two flags; or if there is none of these, before any blank.
 * Returns 0 if there is no such place in the last two thirds. */
static size_t find_break(const char *text, size_t room) {
    size_t first_third = room / 3;
    for (size_t at = room; at > first_third; at--)
        if (may_break(text, at))
            return at;
    for (size_t at = room; at > first_third; at--)
        if (text[at - 1] == '|' || text[at - 1] == '(')
            return at;
    for (size_t at = room; at > first_third; at--)
        if (text[at] == ' ')
            return at;
    return 0;
}

/* Whether the first length characters of a text end within quoted data. */
static bool is_in_quotes(const char *text, size_t length) {
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            i++; /* the next one is an escaped character */
        else if (text[i] == '"')
            quoted = !quoted;
    }
    return quoted;
}

/* How long the character is that a text begins with: an escaped one, as in
 * quoted data, has two or four bytes. */
static size_t character_length(const char *text) {
    static const char hexadecimal[] = "\\x";
    if (strncmp(text, hexadecimal, strlen(hexadecimal)) == 0)
        return strlen("\\x1b");
    if (text[0] == '\\' && text[1] != '\0')
        return strlen("\\n");
    return 1;
}

/* The last place within room characters of a longer text that is in no escaped
 * character. */
static size_t last_whole_character(const char *text, size_t room) {
    size_t at = 0;
    for (;;) {
        size_t next = at + character_length(text + at);
        if (next > room)
            return at;
        at = next;
    }
}

/* The last place within room characters where a text that has no better one can
 * be cut without cutting a word: before a blank, or behind a parenthesis or a
 * bar; or if there is none, at a joint in an address, a path or a name; or if
 * there is none either, at a joint in a constant. Returns 0 if there is no such
 * place. */
static size_t find_joint(const char *text, size_t room) {
    static const char *const joints[] = {"(|", ":/", ".-@", "_"};
    for (size_t at = room; at > 0; at--)
        if (text[at] == ' ')
            return at;
    for (size_t i = 0; i < sizeof joints / sizeof joints[0]; i++)
        for (size_t at = room; at > 0; at--)
            if (strchr(joints[i], text[at - 1]) != NULL)
                return at;
    return 0;
}

/* How many characters of a text stand in a row that begins with its part
 * `next`, and has room for `room` of them. Data can be cut anywhere. */
static size_t row_length(const char *text, const char *next, size_t room) {
    size_t length = strlen(next);
    if (length <= room)
        return length;
    size_t at = find_break(next, room);
    size_t end = (size_t)(next - text) + room;
    if (at == 0 && !is_in_quotes(text, end))
        at = find_joint(next, room);
    if (at == 0)
        return last_whole_character(next, room);
    return at;
}

/* How long the word is that a text begins with, and what stands with it in a
 * row: "SOCK_STREAM|", "SOCK_CLOEXEC)". */
static size_t word_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) != 0 || text[length] == '_')
        length++;
    size_t word = length;
    if (word == 0)
        return 0;
    length += strspn(text + length, ")],:|(");
    return length;
}

/* Whether a row stands at the end of its event: it is all of it, or a call's
 * return. Only there do we know in which state the socket is. */
static bool is_at_end(const struct row *row) {
    return row->part == ROW_WHOLE || row->part == ROW_RETURN;
}

/* Whether a row tells a state of an event's socket, in the same column. */
static bool tells_state(const struct row *row,
                        const struct picture_event *event) {
    if (!is_at_end(row))
        return false; /* it may have no event */
    return row->event->column == event->column &&
           row->event->socket == event->socket && row->event->state[0] != '\0';
}

/* Whether the state of an event is another one than that of the call before it
 * on the same socket. The last rows are the event's own. */
static bool is_change(const struct rows *rows,
                      const struct picture_event *event) {
    for (size_t i = rows->count; i > 0; i--) {
        const struct row *row = &rows->all[i - 1];
        if (row->event != event && tells_state(row, event))
            return strcmp(row->event->state, event->state) != 0;
    }
    return true;
}

/* The state that the rows of an event tell, or "". */
static const char *told_state(const struct rows *rows,
                              const struct picture_event *event) {
    if (rows->states == ROW_ALL_STATES || is_change(rows, event))
        return event->state;
    return "";
}

/* Adds an empty row at a place of an event, for its state. */
static struct row *add_state_row(struct rows *rows, size_t place,
                                 const struct picture_event *event) {
    struct row *row = add_row(rows);
    if (row == NULL)
        return NULL;
    row->from = place;
    row->to = place;
    row->connection = event->connection;
    row->mark = event->mark;
    return row;
}

/* Puts the state behind the text in the last row, or below it if there is no
 * room. In a narrow column, the number of unacknowledged bytes may have no room
 * behind the state, and then stands below that. */
static void add_state(struct rows *rows, size_t place,
                      const struct picture_event *event) {
    const char *state = told_state(rows, event);
    char whole[64];
    if (state[0] == '\0' && event->unacknowledged == 0)
        return; /* the state is told further above, and there is no more */
    struct row *last = &rows->all[rows->count - 1];
    size_t room = rows->width - MARGINS;
    size_t needed = strlen(last->text) + strlen("  ") + strlen(state);
    if (event->unacknowledged > 0)
        needed += UNACKNOWLEDGED;
    if (needed > room) {
        last = add_state_row(rows, place, event);
        if (last == NULL)
            return;
    }
    last->state = state;
    last->unacknowledged = event->unacknowledged;
    row_format_state(last, whole, sizeof whole);
    if (strlen(whole) <= room)
        return;
    last->unacknowledged = 0;
    last = add_state_row(rows, place, event);
    if (last != NULL)
        last->unacknowledged = event->unacknowledged;
}

/* A text that stands at one place, for an event. */
struct entry {
    const struct picture_event *event;
    size_t place;
    int64_t since;
    enum row_part part;
    bool is_of_connection; /* if the event is */
};

/* Adds a row for a part of a text: its first length characters. Returns the
 * row, or NULL as add_row does. */
static struct row *add_text_row(struct rows *rows, const struct entry *entry,
                                const char *before, const char *text,
                                size_t length) {
    const struct picture_event *event = entry->event;
    struct row *row = add_row(rows);
    if (row == NULL)
        return NULL;
    if (event->kind == PICTURE_NOTE)
        row->kind = ROW_NOTE;
    if (event->kind == PICTURE_REPORT)
        row->kind = ROW_REPORT;
    row->since = entry->since;
    row->from = entry->place;
    row->to = entry->place;
    if (entry->is_of_connection) {
        row->connection = event->connection;
        row->mark = event->mark;
    }
    (void)snprintf(row->text, sizeof row->text, "%s%.*s", before, (int)length,
                   text);
    return row;
}

/* What of a text follows after a row of length characters. The end of that row
 * stands for a blank. */
static const char *text_after(const char *text, size_t length) {
    const char *next = text + length;
    if (*next == ' ')
        next++;
    return next;
}

/* What stands before a row that begins with `next`: nothing if the first word
 * of that row has no room otherwise. */
static const char *choose_indent(const struct rows *rows, const char *next) {
    size_t room = rows->width - MARGINS;
    if (rows->width >= NARROW)
        return indent;
    if (word_length(next) > room - strlen(narrow_indent))
        return "";
    return narrow_indent;
}

/* Adds a text on as many rows as it needs; text must not be empty. */
static void add_text(struct rows *rows, const struct entry *entry,
                     const char *text) {
    size_t room = rows->width - MARGINS;
    size_t length = row_length(text, text, room);
    struct row *first = add_text_row(rows, entry, "", text, length);
    if (first == NULL)
        return;
    first->has_time = true;
    first->part = entry->part;
    first->event = entry->event;
    const char *next = text_after(text, length);
    while (*next != '\0') {
        const char *before = choose_indent(rows, next);
        length = row_length(text, next, room - strlen(before));
        if (add_text_row(rows, entry, before, next, length) == NULL)
            return;
        next = text_after(next, length);
    }
    if (entry->part != ROW_BEGINNING && entry->event->state[0] != '\0')
        add_state(rows, entry->place, entry->event);
}

/* The length of the longest word in the text of a call, with what stands with
 * it in a row. Words in quoted data, paths and addresses do not count, because
 * these can be cut. */
static size_t longest_word(const char *text) {
    size_t longest = 0;
    for (size_t at = 0; text[at] != '\0'; at++) {
        bool begins = at == 0 || strchr(" (|[", text[at - 1]) != NULL;
        bool is_word = begins && isalpha((unsigned char)text[at]) != 0;
        if (!is_word || is_in_quotes(text, at))
            continue;
        size_t length = word_length(text + at);
        if (text[at + length] == '\0')
            length++; /* for the parenthesis that ends the call */
        if (length > longest)
            longest = length;
    }
    return longest;
}

size_t row_least_width(const struct picture *picture) {
    size_t longest = 0;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        if (event->kind != PICTURE_CALL)
            continue;
        size_t length = longest_word(event->text);
        if (length > longest)
            longest = length;
    }
    if (longest > LONGEST_WORD)
        longest = LONGEST_WORD;
    if (longest + MARGINS < NARROWEST)
        return NARROWEST;
    return longest + MARGINS;
}

/* Adds the row of an arrow between the columns of an event. Returns the row, or
 * NULL as add_row does. */
static struct row *add_arrow(struct rows *rows, const struct picture *picture,
                             const struct picture_event *event,
                             const char *label) {
    struct row *row = add_row(rows);
    if (row == NULL)
        return NULL;
    row->from = place_of(picture, event->column);
    row->to = place_of(picture, event->to);
    row->connection = event->connection;
    /* What a process sends to itself has no room for an arrow. Its row stays a
     * text, ROW_CALL. */
    if (row->from != row->to) {
        row->kind = ROW_ARROW;
        if (event->kind == PICTURE_MESSAGE)
            row->kind = ROW_MESSAGE;
    }
    (void)snprintf(row->text, sizeof row->text, "%s", label);
    return row;
}

/* How many characters of a label have room in an arrow between two places. */
static size_t arrow_room(const struct rows *rows, size_t from, size_t to) {
    size_t columns = to - from;
    if (from > to)
        columns = from - to;
    return columns * rows->width - ARROW_MARGINS;
}

/* Adds what the extra of an event says: for a message, another arrow, because a
 * message can carry descriptors beside its bytes; for a segment, a label below
 * its arrow. What has no room stands in labels below that. */
static void add_extra(struct rows *rows, const struct picture *picture,
                      const struct picture_event *event) {
    char part[ROW_TEXT_BYTES];
    const char *next = event->extra;
    if (next == NULL || event->is_copy)
        return;
    bool is_first = true;
    while (*next != '\0') {
        size_t from = place_of(picture, event->column);
        size_t to = place_of(picture, event->to);
        size_t length = strlen(next);
        if (from != to)
            length = row_length(event->extra, next, arrow_room(rows, from, to));
        (void)snprintf(part, sizeof part, "%.*s", (int)length, next);
        struct row *row = add_arrow(rows, picture, event, part);
        if (row == NULL)
            return;
        bool is_arrow = is_first && row->kind == ROW_MESSAGE;
        if (row_is_arrow(row) && !is_arrow)
            row->kind = ROW_LABEL;
        is_first = false;
        next = text_after(next, length);
    }
}

/* Writes the label of an arrow: "A 6 bytes + 2 ACK". */
static void write_label(const struct picture_event *event,
                        char label[ROW_TEXT_BYTES]) {
    const char *text = event->text;
    char mark[3] = "";
    char folded[32] = "";
    if (event->is_copy)
        text = "the same datagram";
    if (event->mark != '\0')
        (void)snprintf(mark, sizeof mark, "%c ", event->mark);
    if (event->acknowledgements == 1)
        (void)snprintf(folded, sizeof folded, " + ACK");
    else if (event->acknowledgements > 1)
        (void)snprintf(folded, sizeof folded, " + %u ACK",
                       event->acknowledgements);
    (void)snprintf(label, ROW_TEXT_BYTES, "%s%s%s", mark, text, folded);
}

/* The name of the data in a label, as "GET / HTTP/1.1" in "A PSH ACK GET /
 * HTTP/1.1": it stands behind the letter of a connection and behind what each
 * segment with data has. Returns NULL for data without a name, which begin with
 * a quotation mark or "<". */
static const char *find_name(const char *label) {
    static const char *const flags[] = {"PSH ACK ", "UDP "};
    const char *begin = label;
    if (label[0] != '\0' && label[1] == ' ')
        begin += strlen("A ");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const char *name = begin + strlen(flags[i]);
        if (strncmp(begin, flags[i], strlen(flags[i])) == 0 &&
            isupper((unsigned char)*name) != 0)
            return name;
    }
    return NULL;
}

/* Leaves out what stands before the name in a label that has one, but for the
 * letter of the connection. */
static void leave_out_flags(char *label) {
    const char *name = find_name(label);
    char *begin = label;
    if (label[1] == ' ')
        begin += strlen("A ");
    memmove(begin, name, strlen(name) + 1);
}

/* Where the number of acknowledgements at the end of a label begins, with the
 * blank before it: " + ACK", " + 2 ACK"; or where the label ends, if it has
 * none. */
static size_t find_acknowledgements(const char *label) {
    size_t end = strlen(label);
    const char *plus = strrchr(label, '+');
    if (plus == NULL || plus == label)
        return end;
    size_t blank = (size_t)(plus - label) - 1;
    if (label[blank] != ' ')
        return end;
    const char *after_plus = plus + 1;
    const char *word = after_plus + strspn(after_plus, " 0123456789");
    if (strcmp(word, "ACK") != 0)
        return end;
    return blank;
}

/* How long the word for bytes is that the first length characters of a label
 * end with, or 0. */
static size_t unit_length(const char *label, size_t length) {
    static const char *const units[] = {" bytes", " byte"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t unit = strlen(units[i]);
        if (length >= unit &&
            strncmp(label + length - unit, units[i], unit) == 0)
            return unit;
    }
    return 0;
}

/* Whether a word that begins with a digit stands at a place of a label. */
static bool is_number(const char *label, size_t at) {
    bool begins_word = at == 0 || label[at - 1] == ' ';
    return begins_word && isdigit((unsigned char)label[at]) != 0;
}

/* The end of a label that says how many bytes there were, and acknowledgements:
 * "1460 bytes", "1203 encrypted bytes + ACK", "+ 2 ACK"; or "". */
static const char *find_counts(const char *label) {
    size_t end = find_acknowledgements(label);
    size_t unit = unit_length(label, end);
    if (unit == 0) {
        if (label[end] == ' ')
            end++; /* without the blank before the plus sign */
        return label + end;
    }
    /* The number may be some words before the unit: "1203 encrypted bytes". */
    size_t at = end - unit;
    while (at > 0 && !is_number(label, at))
        at--;
    return label + at;
}

/* Whether a label fits into room characters, if need be without its middle. */
static bool fits(const char *label, size_t room) {
    size_t shortest =
        LEAST_KEPT + strlen(dots) + 1 + strlen(find_counts(label));
    return strlen(label) <= room || shortest <= room;
}

/* The counts at the end of a label that have room beside its beginning. */
static const char *kept_counts(const char *label, size_t room) {
    if (fits(label, room))
        return find_counts(label);
    return "";
}

/* How many characters of a label that is too long for room are kept before the
 * dots, if the counts follow these. Returns 0 if that would cut a word. */
static size_t kept_length(const char *label, size_t room, const char *counts) {
    size_t left_room = room - strlen(dots) - strlen(counts);
    if (counts[0] != '\0')
        left_room--; /* for a blank */
    size_t kept = find_break(label, left_room);
    if (kept == 0 && is_in_quotes(label, left_room))
        kept = last_whole_character(label, left_room);
    return kept;
}

/* Whether a label that is too long for room has to be cut within a word. */
static bool cuts_word(const char *label, size_t room) {
    return strlen(label) > room &&
           kept_length(label, room, kept_counts(label, room)) == 0;
}

/* How many characters of a label stand in its first row, which has room for
 * `room` of them: up to a colon, if there is one, and at the most up to the
 * numbers of bytes and of acknowledgements. */
static size_t first_part_length(const char *label, size_t room) {
    if (strlen(label) <= room)
        return strlen(label);
    const char *colon = strstr(label, ": ");
    if (colon != NULL && (size_t)(colon - label) < room)
        return (size_t)(colon - label) + 1;
    size_t length = row_length(label, label, room);
    const char *counts = find_counts(label);
    bool has_counts = counts > label && counts[0] != '\0';
    if (has_counts && label + length > counts)
        return (size_t)(counts - label) - 1; /* without the blank before them */
    return length;
}

/* Finds out how much of an arrow's label stands in its row; what remains stands
 * in the row below. In a narrow column, few names have room in one row, so they
 * are parted, without their flags; in a wider one, only a name that would be
 * cut within a word. All else stays in one row. Returns what remains: "" if
 * that is nothing. */
static const char *part_label(const struct rows *rows,
                              const struct picture *picture,
                              const struct picture_event *event,
                              char label[ROW_TEXT_BYTES], size_t *length) {
    size_t from = place_of(picture, event->column);
    size_t to = place_of(picture, event->to);
    *length = strlen(label);
    if (from == to)
        return "";
    size_t room = arrow_room(rows, from, to);
    bool has_name = find_name(label) != NULL;
    if (has_name && *length > room)
        leave_out_flags(label);
    *length = strlen(label);
    if (rows->width >= PARTING && !cuts_word(label, room))
        return "";
    if (has_name || event->both_ways)
        *length = first_part_length(label, room);
    char *rest = label + *length;
    if (rest[0] == ' ')
        rest++;
    if (strlen(rest) > room)
        rest[find_acknowledgements(rest)] = '\0';
    return rest;
}

static void add_arrows(struct rows *rows, const struct picture *picture,
                       const struct picture_event *event, int64_t since) {
    char label[ROW_TEXT_BYTES];
    char first[ROW_TEXT_BYTES];
    size_t length;
    write_label(event, label);
    const char *rest = part_label(rows, picture, event, label, &length);
    (void)snprintf(first, sizeof first, "%.*s", (int)length, label);
    struct row *row = add_arrow(rows, picture, event, first);
    if (row == NULL)
        return;
    /* But the text of the event itself is drawn as that of a report. */
    if (row->from == row->to)
        row->kind = ROW_REPORT;
    row->both_ways = event->both_ways;
    row->has_time = !event->is_copy;
    row->since = since;
    if (rest[0] != '\0') {
        row = add_arrow(rows, picture, event, rest);
        if (row != NULL)
            row->kind = ROW_LABEL;
    }
    add_extra(rows, picture, event);
}

/* ---- in the order of time -------------------------------------------------*/

enum phase {
    BEGINNING,
    RETURN, /* of a call that waited */
};

/* When a row of an event is due. */
struct moment {
    int64_t at;
    size_t event;
    enum phase phase;
};

static int compare_moments(const void *left, const void *right) {
    const struct moment *one = left;
    const struct moment *other = right;
    if (one->at < other->at)
        return -1;
    if (one->at > other->at)
        return 1;
    if (one->event < other->event)
        return -1;
    if (one->event > other->event)
        return 1;
    return 0;
}

/* How long the name of a call is. */
static size_t name_length(const struct picture_event *event) {
    return strcspn(event->text, "(");
}

static bool have_same_name(const struct picture_event *one,
                           const struct picture_event *other) {
    size_t length = name_length(one);
    return name_length(other) == length &&
           strncmp(one->text, other->text, length) == 0;
}

/* Whether another call is under way at some time during an event's call, which
 * returns. */
static bool is_under_way(const struct picture_event *other,
                         const struct picture_event *event) {
    bool has_begun = other->began <= event->ended;
    bool has_returned = other->result != NULL && other->ended <= event->began;
    return has_begun && !has_returned;
}

/* Whether another call of the same name is under way in the same column: that
 * of another thread, for example. */
static bool is_ambiguous(const struct picture *picture,
                         const struct picture_event *event) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *other = &picture->events[i];
        bool is_other_call = other != event && other->kind == PICTURE_CALL;
        if (is_other_call && other->column == event->column &&
            have_same_name(other, event) && is_under_way(other, event))
            return true;
    }
    return false;
}

/* How long the first argument of a call is, which begins there. */
static size_t argument_length(const char *argument) {
    /* The first argument of poll(2) is a list in brackets, with blanks and
     * commas of its own. */
    if (argument[0] == '[')
        return strcspn(argument, "]") + 1;
    return strcspn(argument, " ,");
}

/* Writes in short which call has returned: its name; and where the name alone
 * does not tell which call it is, its first argument: "recv(4)". */
static void write_short(const struct picture *picture,
                        const struct picture_event *event, char *text,
                        size_t size) {
    int length = (int)name_length(event);
    const char *name_end = event->text + length;
    if (*name_end == '(' && is_ambiguous(picture, event)) {
        const char *argument = name_end + 1;
        (void)snprintf(text, size, "%.*s(%.*s)", length, event->text,
                       (int)argument_length(argument), argument);
        return;
    }
    (void)snprintf(text, size, "%.*s", length, event->text);
}

/* Which part of a call, or of a note, a moment is. */
static enum row_part part_of(const struct picture_event *event,
                             enum phase phase) {
    if (phase == RETURN)
        return ROW_RETURN;
    if (event->waited || event->result == NULL)
        return ROW_BEGINNING;
    return ROW_WHOLE;
}

/* Adds the text of a call, or of a note, or a part of it. */
static void add_call(struct rows *rows, const struct picture *picture,
                     const struct entry *entry) {
    const struct picture_event *event = entry->event;
    bool is_call = event->kind == PICTURE_CALL;
    const char *close = "";
    const char *waits = "";
    char name[CALL_BYTES / 2];
    char text[CALL_BYTES];
    if (is_call) {
        close = ")";
        waits = dots;
    }
    switch (entry->part) {
    case ROW_RETURN:
        write_short(picture, event, name, sizeof name);
        (void)snprintf(text, sizeof text, "... %s%s", name, event->result);
        break;
    case ROW_BEGINNING:
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close, waits);
        break;
    default:
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close,
                       event->result);
        break;
    }
    add_text(rows, entry, text);
}

static void add_moment(struct rows *rows, const struct picture *picture,
                       const struct moment *moment) {
    const struct picture_event *event = &picture->events[moment->event];
    struct entry entry = {.event = event,
                          .place = place_of(picture, event->column),
                          .since = moment->at - picture_beginning(picture),
                          .part = ROW_WHOLE,
                          .is_of_connection = true};
    char report[CALL_BYTES];
    switch (event->kind) {
    case PICTURE_SEGMENT:
    case PICTURE_MESSAGE:
        add_arrows(rows, picture, event, entry.since);
        break;
    case PICTURE_REPORT:
        (void)snprintf(report, sizeof report, "-> %s", event->text);
        add_text(rows, &entry, report);
        break;
    case PICTURE_CALL:
    case PICTURE_NOTE:
        entry.part = part_of(event, moment->phase);
        if (entry.part == ROW_BEGINNING)
            entry.is_of_connection = !event->makes_it;
        add_call(rows, picture, &entry);
        break;
    }
}

int row_make(struct rows *rows, const struct picture *picture, size_t width,
             enum row_states states) {
    *rows = (struct rows){.width = width, .states = states};
    /* Two for each event, and one more, because calloc(3) may return NULL for
     * none. */
    struct moment *moments = calloc(2 * picture->count + 1, sizeof *moments);
    size_t count = 0;
    if (moments == NULL)
        return -1;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        moments[count] = (struct moment){event->began, i, BEGINNING};
        count++;
        if (event->waited && event->result != NULL) {
            moments[count] = (struct moment){event->ended, i, RETURN};
            count++;
        }
    }
    qsort(moments, count, sizeof *moments, compare_moments);
    for (size_t i = 0; i < count; i++)
        add_moment(rows, picture, &moments[i]);
    free(moments);
    if (rows->lacks_some)
        return -1;
    return 0;
}

/* ---- what both drawings write ---------------------------------------------*/

void row_format_time(const struct row *row, char *text, size_t size) {
    text[0] = '\0';
    if (row->has_time)
        (void)snprintf(text, size, "%7.2f", (double)row->since / 1e6);
}

void row_format_state(const struct row *row, char *text, size_t size) {
    bool has_state = row->state[0] != '\0';
    if (row->unacknowledged == 0)
        (void)snprintf(text, size, "%s", row->state);
    else if (has_state)
        (void)snprintf(text, size, "%s, %u unacked", row->state,
                       row->unacknowledged);
    else
        (void)snprintf(text, size, "%u unacked", row->unacknowledged);
}

/* Writes a label that is too long for room characters: its beginning, dots, and
 * its counts if there is room for them. */
static void leave_out_middle(const char *label, size_t room, char *shown) {
    const char *counts = kept_counts(label, room);
    const char *blank = ""; /* before the counts */
    const char *middle = dots;
    if (counts[0] != '\0')
        blank = " ";
    size_t kept = kept_length(label, room, counts);
    size_t left_room = room - strlen(dots) - strlen(blank) - strlen(counts);
    if (kept == 0)
        kept = find_joint(label, left_room);
    if (kept == 0)
        kept = last_whole_character(label, left_room);
    if (is_in_quotes(label, kept))
        middle = "\"..."; /* as long as the dots with their blank */
    (void)snprintf(shown, ROW_TEXT_BYTES, "%.*s%s%s%s", (int)kept, label,
                   middle, blank, counts);
}

/* Makes room for the name of the data in a label: leaves out the flags before
 * it, and if that is not enough, the acknowledgements behind it. */
static void make_room_for_name(char *label, size_t room) {
    if (strlen(label) <= room || find_name(label) == NULL)
        return;
    leave_out_flags(label);
    if (strlen(label) > room)
        label[find_acknowledgements(label)] = '\0';
}

size_t row_shorten(const char *label, size_t room, char *shown) {
    char text[ROW_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s", label);
    make_room_for_name(text, room);
    if (!fits(text, room)) {
        /* There is no room for the number of acknowledgements. */
        size_t end = find_acknowledgements(text);
        text[end] = '\0';
    }
    if (strlen(text) <= room)
        (void)snprintf(shown, ROW_TEXT_BYTES, "%s", text);
    else
        leave_out_middle(text, room, shown);
    return strlen(shown);
}

bool row_is_arrow(const struct row *row) {
    return row->kind == ROW_ARROW || row->kind == ROW_MESSAGE;
}

void row_free(struct rows *rows) {
    free(rows->all);
    *rows = (struct rows){0};
}
