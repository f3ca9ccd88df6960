#define _GNU_SOURCE

#include "picture.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIME_CHARACTERS = 9, /* "12345.67 " before the first column */
    MOST_ROWS = 220,     /* of an image: what is beyond is counted, not drawn */
    SVG_CHARACTERS = 54, /* of a column, */
    SVG_NARROW = 44,     /* of one of three and more */
    SVG_CHARACTER = 7,   /* pixels, at the least */
    SVG_ROW = 18,
    SVG_TOP = 34,
};

/* One row of the picture: a piece of text in one column, or an arrow. */
struct row {
    bool has_time;
    int64_t at;
    size_t from, to; /* places, from the left; the same for text */
    bool is_arrow;
    bool is_note;
    char text[512];
    const char *state; /* at the right edge of the column */
    unsigned unacknowledged;
};

struct rows {
    struct row *all;
    size_t count, room;
    size_t width;    /* of a column, in characters */
    bool lacks_some; /* for want of memory */
};

static int compare(const void *left, const void *right) {
    const struct picture_event *one = left;
    const struct picture_event *other = right;
    return (one->began > other->began) - (one->began < other->began);
}

void picture_sort(struct picture *picture) {
    if (picture->count > 0)
        qsort(picture->events, picture->count, sizeof picture->events[0],
              compare);
}

static bool is_same(const struct picture_event *one,
                    const struct picture_event *other) {
    return one->kind == PICTURE_CALL && other->kind == PICTURE_CALL &&
           one->column == other->column && !one->waited && !other->waited &&
           one->result != NULL && other->result != NULL &&
           one->state == other->state && strcmp(one->text, other->text) == 0 &&
           strcmp(one->result, other->result) == 0;
}

/* The second of count events becomes a note, the others go. */
static void fold(struct picture_event *events, size_t count) {
    char text[64];
    (void)snprintf(text, sizeof text, "the same %zu times more", count - 1);
    for (size_t i = 1; i < count; i++) {
        free(events[i].text);
        free(events[i].result);
    }
    events[1].kind = PICTURE_NOTE;
    events[1].state = "";
    events[1].text = strdup(text);
    events[1].result = strdup("");
}

void picture_fold(struct picture *picture) {
    size_t kept = 0;
    for (size_t i = 0, count; i < picture->count; i += count) {
        struct picture_event *first = &picture->events[i];
        count = 1;
        while (i + count < picture->count && is_same(first, first + count))
            count++;
        if (count > 2)
            fold(first, count);
        for (size_t k = 0; k < count && (count <= 2 || k < 2); k++)
            picture->events[kept++] = first[k];
    }
    picture->count = kept;
}

/* ---- rows -----------------------------------------------------------------*/

static bool has_strangers(const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++)
        if (picture->events[i].column == PICTURE_NOBODY ||
            (picture->events[i].kind == PICTURE_SEGMENT &&
             picture->events[i].to == PICTURE_NOBODY))
            return true;
    return false;
}

static size_t places(const struct picture *picture) {
    return picture->columns + has_strangers(picture);
}

/* From the left: the last column first; whom we don't watch stands last. */
static size_t place_of(const struct picture *picture, int column) {
    return column == PICTURE_NOBODY ? picture->columns
                                    : picture->columns - 1 - (size_t)column;
}

static const char *name_at(const struct picture *picture, size_t place) {
    return place == picture->columns
               ? "others"
               : picture->names[picture->columns - 1 - place];
}

static struct row *add_row(struct rows *rows) {
    if (rows->count == rows->room) {
        size_t room = rows->room == 0 ? 64 : rows->room * 2;
        struct row *all = realloc(rows->all, room * sizeof *all);
        if (all == NULL) {
            rows->lacks_some = true;
            return NULL;
        }
        rows->all = all;
        rows->room = room;
    }
    rows->all[rows->count] = (struct row){.state = ""};
    return &rows->all[rows->count++];
}

/* How much of text fits into a line of room characters: all of it, or up to the
 * last place where a reader expects a break. */
static size_t first_line(const char *text, size_t room) {
    size_t length = strlen(text);
    if (length <= room)
        return length;
    for (size_t at = room; at > room / 3; at--)
        if (text[at] == ' ' && text[at - 1] != '=')
            return at;
    return room;
}

/* Text into one place, on as many rows as it needs, the state behind it. */
static void add_text(struct rows *rows, size_t place, int64_t at,
                     const char *text, const struct picture_event *event,
                     const char *state) {
    const char *indent = "";
    size_t room = rows->width - 3; /* a bar, a space before and behind */
    bool first = true;
    while (*text != '\0' || first) {
        size_t length = first_line(text, room - strlen(indent));
        struct row *row = add_row(rows);
        if (row == NULL)
            return;
        row->has_time = first;
        row->at = at;
        row->from = row->to = place;
        row->is_note = event->kind == PICTURE_NOTE;
        (void)snprintf(row->text, sizeof row->text, "%s%.*s", indent,
                       (int)length, text);
        text += length;
        text += *text == ' ';
        first = false;
        indent = "    ";
    }
    if (state[0] == '\0')
        return;
    struct row *last = &rows->all[rows->count - 1];
    size_t unacknowledged = event->unacknowledged > 0 ? 16 : 0;
    if (strlen(last->text) + 2 + strlen(state) + unacknowledged > room) {
        last = add_row(rows);
        if (last == NULL)
            return;
        last->from = last->to = place;
    }
    last->state = state;
    last->unacknowledged = event->unacknowledged;
}

/* A call that waited stands where it began and where it returned; the order of
 * rows is that of time, so the second comes later. */
struct moment {
    int64_t at;
    size_t event;
    bool is_return;
};

static int compare_moments(const void *left, const void *right) {
    const struct moment *one = left;
    const struct moment *other = right;
    if (one->at != other->at)
        return one->at < other->at ? -1 : 1;
    return (one->event > other->event) - (one->event < other->event);
}

static void add_segment(struct rows *rows, const struct picture *picture,
                        const struct picture_event *event) {
    struct row *row = add_row(rows);
    if (row == NULL)
        return;
    row->has_time = true;
    row->at = event->began;
    row->from = place_of(picture, event->column);
    row->to = place_of(picture, event->to);
    row->is_arrow = true;
    (void)snprintf(row->text, sizeof row->text, "%s", event->text);
}

static void add_moment(struct rows *rows, const struct picture *picture,
                       const struct moment *moment) {
    const struct picture_event *event = &picture->events[moment->event];
    char text[1024];
    size_t place = place_of(picture, event->column);
    const char *close = event->kind == PICTURE_CALL ? ")" : "";
    if (event->kind == PICTURE_SEGMENT) {
        add_segment(rows, picture, event);
        return;
    }
    if (moment->is_return) {
        const char *name_end = strchr(event->text, '(');
        (void)snprintf(text, sizeof text, "... %.*s%s",
                       (int)(name_end - event->text), event->text,
                       event->result);
        add_text(rows, place, moment->at, text, event, event->state);
    } else if (event->waited || event->result == NULL) {
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close,
                       event->kind == PICTURE_CALL ? " ..." : "");
        add_text(rows, place, moment->at, text, event, "");
    } else {
        (void)snprintf(text, sizeof text, "%s%s%s", event->text, close,
                       event->result);
        add_text(rows, place, moment->at, text, event, event->state);
    }
}

static int64_t beginning(const struct picture *picture) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < picture->count; i++)
        if (picture->events[i].began < first)
            first = picture->events[i].began;
    return first;
}

/* Returns 0; or -1 and ENOMEM, when there are not all. */
static int make_rows(struct rows *rows, const struct picture *picture) {
    struct moment *moments = calloc(2 * picture->count + 1, sizeof *moments);
    size_t count = 0;
    if (moments == NULL)
        return -1;
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        moments[count++] = (struct moment){event->began, i, false};
        if (event->waited && event->result != NULL)
            moments[count++] = (struct moment){event->ended, i, true};
    }
    qsort(moments, count, sizeof *moments, compare_moments);
    for (size_t i = 0; i < count; i++)
        add_moment(rows, picture, &moments[i]);
    free(moments);
    return rows->lacks_some ? -1 : 0;
}

/* Milliseconds since the beginning. */
static void format_time(int64_t since, char *text, size_t size) {
    (void)snprintf(text, size, "%7.2f", (double)since / 1e6);
}

static void format_state(const struct row *row, char *text, size_t size) {
    if (row->unacknowledged > 0)
        (void)snprintf(text, size, "%s, %u unacked", row->state,
                       row->unacknowledged);
    else
        (void)snprintf(text, size, "%s", row->state);
}

/* ---- text -----------------------------------------------------------------*/

/* The characters that ASCII has another for. */
enum { BAR = 0x2502, LINE = 0x2500, RIGHT = 0x25b6, LEFT = 0x25c0 };

static void put_character(FILE *out, uint32_t character, bool unicode) {
    if (character < 0x80)
        (void)fputc((int)character, out);
    else if (unicode)
        (void)fprintf(out, "%c%c%c", (int)(0xe0 | character >> 12),
                      (int)(0x80 | (character >> 6 & 0x3f)),
                      (int)(0x80 | (character & 0x3f)));
    else
        (void)fputc(character == BAR    ? '|'
                    : character == LINE ? '-'
                    : character == LEFT ? '<'
                                        : '>',
                    out);
}

static void put_text(uint32_t *line, size_t at, size_t end, const char *text) {
    while (*text != '\0' && at < end)
        line[at++] = (unsigned char)*text++;
}

/* An arrow between two bars, its label in the middle, cut where it must be. */
static void put_arrow(uint32_t *line, size_t left, size_t right, bool to_right,
                      const char *label) {
    size_t room = right - left - 1;
    size_t length = strlen(label);
    for (size_t i = left + 1; i < right; i++)
        line[i] = LINE;
    line[to_right ? right - 1 : left + 1] = to_right ? RIGHT : LEFT;
    if (length + 4 > room)
        length = room - 4;
    size_t at = left + 1 + (room - length) / 2;
    line[at - 1] = line[at + length] = ' ';
    put_text(line, at, at + length, label);
    if (length < strlen(label))
        put_text(line, at + length - 3, at + length, "...");
}

static void put_row(uint32_t *line, const struct rows *rows,
                    const struct row *row) {
    size_t from = TIME_CHARACTERS + row->from * rows->width;
    size_t to = TIME_CHARACTERS + row->to * rows->width;
    if (!row->is_arrow || from == to) {
        char state[64];
        put_text(line, from + 2, from + rows->width - 1, row->text);
        format_state(row, state, sizeof state);
        put_text(line, from + rows->width - 1 - strlen(state),
                 from + rows->width, state);
    } else if (from < to) {
        put_arrow(line, from, to, true, row->text);
    } else {
        put_arrow(line, to, from, false, row->text);
    }
}

static void write_line(FILE *out, const uint32_t *line, size_t length,
                       bool unicode) {
    while (length > 0 && line[length - 1] == ' ')
        length--;
    for (size_t i = 0; i < length; i++)
        put_character(out, line[i], unicode);
    (void)fputc('\n', out);
}

static void clear_line(uint32_t *line, const struct rows *rows, size_t columns,
                       size_t length) {
    for (size_t i = 0; i < length; i++)
        line[i] = ' ';
    for (size_t i = 0; i < columns; i++)
        line[TIME_CHARACTERS + i * rows->width] = BAR;
}

int picture_write_text(FILE *out, const struct picture *picture, size_t width,
                       bool unicode) {
    size_t columns = places(picture);
    if (columns == 0 || picture->count == 0)
        return 0;
    struct rows rows = {.width = (width - TIME_CHARACTERS) / columns};
    if (rows.width < 16)
        rows.width = 16;
    size_t length = TIME_CHARACTERS + rows.width * columns;
    uint32_t *line = calloc(length + 1, sizeof *line);
    if (line == NULL)
        return -1;
    int result = make_rows(&rows, picture);
    clear_line(line, &rows, 0, length);
    put_text(line, 0, length, "     ms");
    for (size_t i = 0; i < columns; i++)
        put_text(line, TIME_CHARACTERS + i * rows.width,
                 TIME_CHARACTERS + (i + 1) * rows.width - 1,
                 name_at(picture, i));
    write_line(out, line, length, unicode);
    for (size_t i = 0; i < rows.count; i++) {
        char at[32] = "";
        clear_line(line, &rows, columns, length);
        if (rows.all[i].has_time)
            format_time(rows.all[i].at - beginning(picture), at, sizeof at);
        put_text(line, 0, TIME_CHARACTERS, at);
        put_row(line, &rows, &rows.all[i]);
        write_line(out, line, length, unicode);
    }
    free(line);
    free(rows.all);
    return result;
}

/* ---- SVG ------------------------------------------------------------------*/

static const char style[] =
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328;"
    "white-space:pre}"
    ".n{font-weight:bold}.t{fill:#818b98;text-anchor:end}"
    ".s{fill:#1a7f37;text-anchor:end}.o{fill:#9a6700}"
    ".w{fill:#0550ae;text-anchor:middle}"
    ".l{stroke:#d1d9e0}.a{stroke:#0550ae}.h{fill:#0550ae}.b{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.t{fill:#9198a1}"
    ".s{fill:#3fb950}.o{fill:#d29922}.w{fill:#79c0ff}.l{stroke:#3d444d}"
    ".a{stroke:#79c0ff}.h{fill:#79c0ff}.b{fill:#0d1117}}";

static void write_escaped(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)fputs("&lt;", out);
            break;
        case '>':
            (void)fputs("&gt;", out);
            break;
        case '&':
            (void)fputs("&amp;", out);
            break;
        default:
            (void)fputc(*text, out);
        }
    }
}

static void write_svg_text(FILE *out, size_t x, size_t y, const char *class,
                           const char *text) {
    (void)fprintf(out, "<text x=\"%zu\" y=\"%zu\"%s%s%s>", x, y,
                  class[0] == '\0' ? "" : " class=\"", class,
                  class[0] == '\0' ? "" : "\"");
    write_escaped(out, text);
    (void)fputs("</text>\n", out);
}

/* The lifeline of a place, in pixels from the left. */
static size_t svg_x(const struct rows *rows, size_t place) {
    return (size_t)SVG_CHARACTER *
           (TIME_CHARACTERS + 1 + place * (rows->width + 1));
}

static void write_svg_arrow(FILE *out, const struct rows *rows,
                            const struct row *row, size_t y) {
    size_t from = svg_x(rows, row->from), to = svg_x(rows, row->to);
    size_t middle = (from + to) / 2;
    size_t head = to > from ? to - 8 : to + 8;
    size_t room = ((to > from ? to - from : from - to) / SVG_CHARACTER) - 4;
    char label[512];
    (void)snprintf(label, sizeof label, "%.*s", (int)room, row->text);
    size_t half = strlen(label) * SVG_CHARACTER / 2 + 8;
    (void)fprintf(out,
                  "<path class=\"a\" d=\"M%zu %zuH%zuM%zu %zuH%zu\"/>"
                  "<path class=\"h\" d=\"M%zu %zuL%zu %zuV%zuz\"/>\n",
                  from, y - 4, to > from ? middle - half : middle + half,
                  to > from ? middle + half : middle - half, y - 4, head, to,
                  y - 4, head, y - 8, y);
    write_svg_text(out, middle, y, "w", label);
}

static void write_svg_row(FILE *out, const struct rows *rows,
                          const struct row *row, int64_t first, size_t y) {
    char text[64];
    if (row->has_time) {
        format_time(row->at - first, text, sizeof text);
        write_svg_text(out, (size_t)SVG_CHARACTER * (TIME_CHARACTERS - 1), y,
                       "t", text + strspn(text, " "));
    }
    if (row->is_arrow && row->from != row->to) {
        write_svg_arrow(out, rows, row, y);
        return;
    }
    if (row->text[0] != '\0')
        write_svg_text(out, svg_x(rows, row->from) + 8, y,
                       row->is_note ? "o" : "", row->text);
    if (row->state[0] != '\0') {
        format_state(row, text, sizeof text);
        write_svg_text(out, svg_x(rows, row->from + 1) - 8, y, "s", text);
    }
}

int picture_write_svg(FILE *out, const struct picture *picture) {
    size_t columns = places(picture);
    struct rows rows = {.width =
                            (columns > 2 ? SVG_NARROW : SVG_CHARACTERS) - 1};
    int result = make_rows(&rows, picture);
    size_t drawn = rows.count;
    if (drawn > MOST_ROWS)
        drawn = MOST_ROWS;
    size_t height = SVG_TOP + SVG_ROW * (drawn + 1 + (drawn < rows.count));
    size_t width = svg_x(&rows, columns);
    (void)fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" "
        "height=\"%zu\" viewBox=\"0 0 %zu %zu\">\n"
        "<style>%s</style>\n"
        "<rect class=\"b\" width=\"100%%\" height=\"100%%\" rx=\"6\"/>\n",
        width, height, width, height, style);
    write_svg_text(out, (size_t)SVG_CHARACTER * (TIME_CHARACTERS - 1), 22, "t",
                   "ms");
    for (size_t i = 0; i < columns; i++) {
        write_svg_text(out, svg_x(&rows, i), 22, "n", name_at(picture, i));
        (void)fprintf(out, "<path class=\"l\" d=\"M%zu 30V%zu\"/>\n",
                      svg_x(&rows, i), height - 8);
    }
    for (size_t i = 0; i < drawn; i++)
        write_svg_row(out, &rows, &rows.all[i], beginning(picture),
                      SVG_TOP + SVG_ROW * (i + 1) - 6);
    if (drawn < rows.count) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %zu more rows",
                       rows.count - drawn);
        write_svg_text(out, svg_x(&rows, 0) + 8,
                       SVG_TOP + SVG_ROW * (drawn + 1) - 6, "o", text);
    }
    (void)fputs("</svg>\n", out);
    free(rows.all);
    return result;
}

/* ---- the list -------------------------------------------------------------*/

static const char *name_of(const struct picture *picture, int column) {
    return column == PICTURE_NOBODY ? "others" : picture->names[column];
}

void picture_write_list(FILE *out, const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++) {
        const struct picture_event *event = &picture->events[i];
        const char *name = name_of(picture, event->column);
        if (event->kind == PICTURE_SEGMENT)
            (void)fprintf(out, "wire\t%s > %s\t%s\n", name,
                          name_of(picture, event->to), event->text);
        else
            (void)fprintf(out, "%s\t%s%s%s\t%s\n", name, event->text,
                          event->kind == PICTURE_CALL ? ")" : "",
                          event->result == NULL ? " ..." : event->result,
                          event->state);
    }
}

void picture_free(struct picture *picture) {
    for (size_t i = 0; i < picture->columns; i++)
        free(picture->names[i]);
    for (size_t i = 0; i < picture->count; i++) {
        free(picture->events[i].text);
        free(picture->events[i].result);
    }
    free(picture->names);
    free(picture->events);
    *picture = (struct picture){0};
}
