/* entry: the rows of a text that stands in a column, with a socket's state. */
#include "entry.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "wrap.h"

enum {
    MARGINS = 3,         /* the lifeline, a space before the text, one after */
    UNACKNOWLEDGED = 16, /* characters that ", N unacked" may take */
    NARROWEST = 16,      /* characters of a column, at the least */
    LONGEST_WORD = 26,   /* a longer one is cut: "IP_DROP_SOURCE_MEMBERSHIP," */
    NARROW = 24,         /* a column of fewer characters is narrow */
};

/* What stands before each row of a text but the first: in a column that is
 * narrow, and in one that is not. */
static const char narrow_indent[] = "  ";
static const char indent[] = "    ";

/* ---- the state ------------------------------------------------------------*/

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
    struct row *row = row_add(rows);
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

/* ---- the text -------------------------------------------------------------*/

/* How long the word is that a text begins with, and what stands with it in a
 * row: "SOCK_STREAM|", "SOCK_CLOEXEC)". */
static size_t word_length(const char *text) {
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) != 0 || text[length] == '_')
        length++;
    if (length == 0)
        return 0;
    length += strspn(text + length, ")],:|(");
    return length;
}

/* Adds a row for a part of a text: its first length characters. Returns the
 * row, or NULL as row_add does. */
static struct row *add_text_row(struct rows *rows, const struct entry *entry,
                                const char *before, const char *text,
                                size_t length) {
    const struct picture_event *event = entry->event;
    struct row *row = row_add(rows);
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

void entry_add_rows(struct rows *rows, const struct entry *entry,
                    const char *text) {
    size_t room = rows->width - MARGINS;
    size_t length = wrap_length(text, text, room);
    struct row *first = add_text_row(rows, entry, "", text, length);
    if (first == NULL)
        return;
    first->has_time = true;
    first->part = entry->part;
    first->event = entry->event;
    const char *next = wrap_rest(text, length);
    while (*next != '\0') {
        const char *before = choose_indent(rows, next);
        length = wrap_length(text, next, room - strlen(before));
        if (add_text_row(rows, entry, before, next, length) == NULL)
            return;
        next = wrap_rest(next, length);
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
        if (!is_word || wrap_is_in_quotes(text, at))
            continue;
        size_t length = word_length(text + at);
        if (text[at + length] == '\0')
            length++; /* for the parenthesis that ends the call */
        if (length > longest)
            longest = length;
    }
    return longest;
}

size_t entry_least_width(const struct picture *picture) {
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
