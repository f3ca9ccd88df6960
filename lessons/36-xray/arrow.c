/* arrow: the rows of an arrow, and its label. */
#include "arrow.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "wrap.h"

enum {
    PARTING = 30,      /* in a column of fewer characters, a name may take two
                          rows */
    ARROW_MARGINS = 5, /* a lifeline, two dashes or heads, two blanks */
    LEAST_KEPT = 3,    /* characters of a label before the dots: "FIN" */
};

/* ---- the label ------------------------------------------------------------*/

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
        LEAST_KEPT + strlen(WRAP_DOTS) + 1 + strlen(find_counts(label));
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
    size_t left_room = room - strlen(WRAP_DOTS) - strlen(counts);
    if (counts[0] != '\0')
        left_room--; /* for a blank */
    size_t kept = wrap_find_break(label, left_room);
    if (kept == 0 && wrap_is_in_quotes(label, left_room))
        kept = wrap_last_whole_character(label, left_room);
    return kept;
}

/* Whether a label that is too long for room has to be cut within a word. */
static bool cuts_word(const char *label, size_t room) {
    return strlen(label) > room &&
           kept_length(label, room, kept_counts(label, room)) == 0;
}

/* Writes a label that is too long for room characters: its beginning, dots, and
 * its counts if there is room for them. */
static void leave_out_middle(const char *label, size_t room, char *shown) {
    const char *counts = kept_counts(label, room);
    const char *blank = ""; /* before the counts */
    const char *middle = WRAP_DOTS;
    if (counts[0] != '\0')
        blank = " ";
    size_t kept = kept_length(label, room, counts);
    size_t left_room =
        room - strlen(WRAP_DOTS) - strlen(blank) - strlen(counts);
    if (kept == 0)
        kept = wrap_find_joint(label, left_room);
    if (kept == 0)
        kept = wrap_last_whole_character(label, left_room);
    if (wrap_is_in_quotes(label, kept))
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

size_t arrow_shorten_label(const char *label, size_t room, char *shown) {
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

/* ---- its rows -------------------------------------------------------------*/

/* Adds the row of an arrow between the columns of an event. Returns the row, or
 * NULL as row_add does. */
static struct row *add_arrow(struct rows *rows, const struct picture *picture,
                             const struct picture_event *event,
                             const char *label) {
    struct row *row = row_add(rows);
    if (row == NULL)
        return NULL;
    row->from = row_place_of(picture, event->column);
    row->to = row_place_of(picture, event->to);
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
        size_t from = row_place_of(picture, event->column);
        size_t to = row_place_of(picture, event->to);
        size_t length = strlen(next);
        if (from != to)
            length =
                wrap_length(event->extra, next, arrow_room(rows, from, to));
        (void)snprintf(part, sizeof part, "%.*s", (int)length, next);
        struct row *row = add_arrow(rows, picture, event, part);
        if (row == NULL)
            return;
        bool is_arrow = is_first && row->kind == ROW_MESSAGE;
        if (row_is_arrow(row) && !is_arrow)
            row->kind = ROW_LABEL;
        is_first = false;
        next = wrap_rest(next, length);
    }
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
    size_t length = wrap_length(label, label, room);
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
    size_t from = row_place_of(picture, event->column);
    size_t to = row_place_of(picture, event->to);
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

void arrow_add_rows(struct rows *rows, const struct picture *picture,
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
