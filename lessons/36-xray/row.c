#include "row.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGINS = 3,         /* the lifeline, a space before the text, one after */
    UNACKNOWLEDGED = 16, /* characters that ", N unacked" may take */
    NARROW = 24,
    FIRST_ROOM = 64,
    CALL_BYTES = 1024,
    LEAST_KEPT = 3, /* characters of a label before the dots: "FIN" */
};

/* Stands for what is left out of a label. */
static const char dots[] = " ...";

/* Before the second row of a text and all others, in a column that is narrow
 * and in one that is not. */
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

/* ---- rows -----------------------------------------------------------------*/

/* Returns a new row at the end, or NULL: then rows->lacks_some says so. */
static struct row *add_row(struct rows *rows) {
    if (rows->count == rows->room) {
        size_t room = rows->room == 0 ? FIRST_ROOM : rows->room * 2;
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

/* Whether a line may end before a blank. A result stays beside its equals sign,
 * and the dots of a call that waits beside its end. */
static bool may_break(const char *text, size_t at) {
    return text[at] == ' ' && text[at - 1] != '=' &&
           strcmp(text + at, dots) != 0;
}

/* The last place within room characters where a reader expects the end of a
 * line: before a blank; or if there is none, behind a parenthesis or the bar
 * between two flags. Returns 0 if there is no such place in the last two
 * thirds.
 */
static size_t find_break(const char *text, size_t room) {
    for (size_t at = room; at > room / 3; at--)
        if (may_break(text, at))
            return at;
    for (size_t at = room; at > room / 3; at--)
        if (text[at - 1] == '|' || text[at - 1] == '(')
            return at;
    for (size_t at = room; at > room / 3; at--)
        if (text[at] == ' ')
            return at;
    return 0;
}

/* How much of a text stands in the first of its rows, which has room for so
 * many characters. */
static size_t first_line(const char *text, size_t room) {
    size_t length = strlen(text);
    if (length <= room)
        return length;
    size_t at = find_break(text, room);
    return at > 0 ? at : room;
}

/* Whether a row tells the state of that socket, in that column. */
static bool tells_state(const struct row *row,
                        const struct picture_event *event) {
    return (row->part == ROW_WHOLE || row->part == ROW_RETURN) &&
           row->event->column == event->column &&
           row->event->socket == event->socket && row->event->state[0] != '\0';
}

/* Whether the state of an event is another one than that of the call before it
 * on the same socket. The last row is the event's own. */
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

/* Puts the state behind the text in the last row, or below it if there is no
 * room. */
static void add_state(struct rows *rows, size_t place,
                      const struct picture_event *event) {
    const char *state = told_state(rows, event);
    struct row *last = &rows->all[rows->count - 1];
    size_t needed = strlen(last->text) + 2 + strlen(state);
    if (state[0] == '\0' && event->unacknowledged == 0)
        return;
    if (event->unacknowledged > 0)
        needed += UNACKNOWLEDGED;
    if (needed > rows->width - MARGINS) {
        last = add_row(rows);
        if (last == NULL)
            return;
        last->from = place;
        last->to = place;
        last->connection = event->connection;
        last->mark = event->mark;
    }
    last->state = state;
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

/* Adds a text on as many rows as it needs; text must not be empty. */
static void add_text(struct rows *rows, const struct entry *entry,
                     const char *text) {
    size_t room = rows->width - MARGINS;
    const char *before = "";
    bool is_first = true;
    do {
        size_t length = first_line(text, room - strlen(before));
        struct row *row = add_row(rows);
        if (row == NULL)
            return;
        if (entry->event->kind == PICTURE_NOTE)
            row->kind = ROW_NOTE;
        if (entry->event->kind == PICTURE_REPORT)
            row->kind = ROW_REPORT;
        row->has_time = is_first;
        if (is_first) {
            row->part = entry->part;
            row->event = entry->event;
        }
        row->since = entry->since;
        row->from = entry->place;
        row->to = entry->place;
        if (entry->is_of_connection) {
            row->connection = entry->event->connection;
            row->mark = entry->event->mark;
        }
        (void)snprintf(row->text, sizeof row->text, "%s%.*s", before,
                       (int)length, text);
        text += length;
        if (*text == ' ')
            text++;
        is_first = false;
        before = rows->width < NARROW ? narrow_indent : indent;
    } while (*text != '\0');
    if (entry->part != ROW_BEGINNING && entry->event->state[0] != '\0')
        add_state(rows, entry->place, entry->event);
}

static struct row *add_arrow(struct rows *rows, const struct picture *picture,
                             const struct picture_event *event,
                             const char *label) {
    struct row *row = add_row(rows);
    if (row == NULL)
        return NULL;
    row->from = place_of(picture, event->column);
    row->to = place_of(picture, event->to);
    row->connection = event->connection;
    if (row->from != row->to)
        row->kind = event->kind == PICTURE_MESSAGE ? ROW_MESSAGE : ROW_ARROW;
    (void)snprintf(row->text, sizeof row->text, "%s", label);
    return row;
}

/* What a message carries beside its bytes has an arrow of its own; what else is
 * said of an arrow stands below it. */
static void add_extra(struct rows *rows, const struct picture *picture,
                      const struct picture_event *event) {
    if (event->extra == NULL || event->is_copy)
        return;
    struct row *row = add_arrow(rows, picture, event, event->extra);
    if (row != NULL && row->kind == ROW_ARROW)
        row->kind = ROW_LABEL;
}

static void add_arrows(struct rows *rows, const struct picture *picture,
                       const struct picture_event *event, int64_t since) {
    const char *text = event->is_copy ? "the same datagram" : event->text;
    const char mark[] = {event->mark, event->mark == '\0' ? '\0' : ' ', '\0'};
    char folded[32] = "";
    char label[ROW_TEXT_BYTES];
    if (event->acknowledgements == 1)
        (void)snprintf(folded, sizeof folded, " + ACK");
    else if (event->acknowledgements > 1)
        (void)snprintf(folded, sizeof folded, " + %u ACK",
                       event->acknowledgements);
    (void)snprintf(label, sizeof label, "%s%s%s", mark, text, folded);
    struct row *row = add_arrow(rows, picture, event, label);
    if (row == NULL)
        return;
    if (row->from == row->to)
        row->kind = ROW_REPORT;
    row->both_ways = event->both_ways;
    row->has_time = !event->is_copy;
    row->since = since;
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
    if (one->at != other->at)
        return one->at < other->at ? -1 : 1;
    if (one->event != other->event)
        return one->event < other->event ? -1 : 1;
    return 0;
}

/* How long the name of a call is. */
static size_t name_length(const struct picture_event *event) {
    return strcspn(event->text, "(");
}

/* Whether another call of the same name is under way in the same column: that
 * of another thread, for example. */
static bool is_ambiguous(const struct picture *picture,
                         const struct picture_event *event) {
    size_t length = name_length(event);
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *other = &picture->events[i];
        if (other == event || other->kind != PICTURE_CALL ||
            other->column != event->column || other->began > event->ended ||
            name_length(other) != length ||
            strncmp(other->text, event->text, length) != 0)
            continue;
        if (other->result == NULL || other->ended > event->began)
            return true;
    }
    return false;
}

/* Writes the beginning of a call that returns: its name; and where the name
 * alone does not tell which call it is, its first argument: "recv(4)". */
static void write_short(const struct picture *picture,
                        const struct picture_event *event, char *text,
                        size_t size) {
    size_t length = name_length(event);
    const char *first = event->text + length;
    if (*first == '(' && is_ambiguous(picture, event)) {
        first++;
        size_t end = strcspn(first, " ,");
        if (*first == '[') /* of poll(2): the descriptors that it waits for */
            end = strcspn(first, "]") + 1;
        (void)snprintf(text, size, "%.*s(%.*s)", (int)length, event->text,
                       (int)end, first);
        return;
    }
    (void)snprintf(text, size, "%.*s", (int)length, event->text);
}

static void add_moment(struct rows *rows, const struct picture *picture,
                       const struct moment *moment) {
    const struct picture_event *event = &picture->events[moment->event];
    struct entry entry = {.event = event,
                          .place = place_of(picture, event->column),
                          .since = moment->at - picture_beginning(picture),
                          .part = ROW_WHOLE,
                          .is_of_connection = true};
    const char *close = event->kind == PICTURE_CALL ? ")" : "";
    char text[CALL_BYTES];
    if (picture_is_arrow(event)) {
        add_arrows(rows, picture, event, entry.since);
        return;
    }
    if (event->kind == PICTURE_REPORT) {
        (void)snprintf(text, sizeof text, "-> %s", event->text);
        add_text(rows, &entry, text);
        return;
    }
    if (moment->phase == RETURN) {
        char call[CALL_BYTES / 2];
        entry.part = ROW_RETURN;
        write_short(picture, event, call, sizeof call);
        (void)snprintf(text, sizeof text, "... %s%s", call, event->result);
    } else if (event->waited || event->result == NULL) {
        const char *waits = event->kind == PICTURE_CALL ? dots : "";
        entry.part = ROW_BEGINNING;
        entry.is_of_connection = !event->makes_it;
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close, waits);
    } else {
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close,
                       event->result);
    }
    add_text(rows, &entry, text);
}

int row_make(struct rows *rows, const struct picture *picture, size_t width,
             enum row_states states) {
    *rows = (struct rows){.width = width, .states = states};
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
    return rows->lacks_some ? -1 : 0;
}

/* ---- what both drawings write ---------------------------------------------*/

void row_format_time(const struct row *row, char *text, size_t size) {
    text[0] = '\0';
    if (row->has_time)
        (void)snprintf(text, size, "%7.2f", (double)row->since / 1e6);
}

void row_format_state(const struct row *row, char *text, size_t size) {
    const char *comma = row->state[0] == '\0' ? "" : ", ";
    if (row->unacknowledged > 0)
        (void)snprintf(text, size, "%s%s%u unacked", row->state, comma,
                       row->unacknowledged);
    else
        (void)snprintf(text, size, "%s", row->state);
}

/* Where the number of acknowledgements at the end of a label begins, with the
 * blank before it: " + ACK", " + 2 ACK"; or where the label ends. */
static const char *find_acknowledgements(const char *label) {
    const char *end = label + strlen(label);
    const char *plus = strrchr(label, '+');
    if (plus == NULL || plus == label || plus[-1] != ' ')
        return end;
    const char *at = plus + 1;
    at += strspn(at, " 0123456789");
    return strcmp(at, "ACK") == 0 ? plus - 1 : end;
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

/* The end of a label that says how many bytes there were, and acknowledgements:
 * "1460 bytes", "1203 encrypted bytes + ACK", "+ 2 ACK"; or "". */
static const char *find_counts(const char *label) {
    const char *end = find_acknowledgements(label);
    const char *at = end - unit_length(label, (size_t)(end - label));
    if (at == end)
        return *end == '\0' ? end : end + 1;
    while (at > label && (at[-1] != ' ' || isdigit((unsigned char)*at) == 0))
        at--;
    return at;
}

/* Whether the first length characters of a label end within quoted data. */
static bool is_in_quotes(const char *label, size_t length) {
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (label[i] == '\\')
            i++; /* the next one is an escaped character */
        else if (label[i] == '"')
            quoted = !quoted;
    }
    return quoted;
}

/* Whether a label fits into room characters, if need be without its middle. */
static bool fits(const char *label, size_t room) {
    size_t length = strlen(label);
    const char *count = find_counts(label);
    return length <= room ||
           LEAST_KEPT + strlen(dots) + 1 + strlen(count) <= room;
}

size_t row_shorten(const char *label, size_t room, char *shown) {
    char text[ROW_TEXT_BYTES];
    const char *middle = dots;
    (void)snprintf(text, sizeof text, "%s", label);
    if (!fits(text, room))
        text[find_acknowledgements(text) - text] = '\0';
    if (strlen(text) <= room) {
        (void)snprintf(shown, ROW_TEXT_BYTES, "%s", text);
        return strlen(shown);
    }
    const char *count = fits(text, room) ? find_counts(text) : "";
    size_t needed = strlen(dots);
    if (count[0] != '\0')
        needed += 1 + strlen(count);
    size_t kept = find_break(text, room - needed);
    if (kept == 0)
        kept = room - needed;
    if (is_in_quotes(text, kept))
        middle = "\"...";
    (void)snprintf(shown, ROW_TEXT_BYTES, "%.*s%s%s%s", (int)kept, text, middle,
                   count[0] == '\0' ? "" : " ", count);
    return strlen(shown);
}

bool row_is_arrow(const struct row *row) {
    return row->kind == ROW_ARROW || row->kind == ROW_MESSAGE;
}

void row_free(struct rows *rows) {
    free(rows->all);
    *rows = (struct rows){0};
}
