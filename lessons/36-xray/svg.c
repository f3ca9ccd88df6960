#include "svg.h"

#include <string.h>

#include "row.h"

enum {
    TIME_WIDTH = 9,   /* characters before the first column */
    WIDE_COLUMN = 53, /* characters of a column, if there are one or two */
    COLUMN = 43,      /* of one of three and more */
    MOST_ROWS = 220,
    /* In pixels: */
    CHARACTER = 7,                             /* no character is wider */
    TIME_RIGHT = CHARACTER * (TIME_WIDTH - 1), /* where a time ends */
    ROW = 18,
    TOP = 34,      /* above the first row */
    NAMES = 22,    /* where the names of the columns stand */
    LIFELINE = 30, /* where the lifelines begin */
    MARGIN = 8,    /* between a lifeline and its text */
    HEAD = 8,      /* the length of an arrow's head, */
    RADIUS = 6,    /* of a connection's mark */
    HALF_HEAD = 4, /* and half its height */
    BASELINE = 6,  /* of a text, above the lower edge of its row */
};

static const char style[] =
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328;"
    "white-space:pre}"
    ".n{font-weight:bold}.t{fill:#818b98;text-anchor:end}"
    ".s{fill:#1a7f37;text-anchor:end}.o{fill:#9a6700}"
    ".w{fill:#0550ae;text-anchor:middle}.r{fill:#0550ae}"
    ".l{stroke:#d1d9e0}.a{stroke:#0550ae}.h{fill:#0550ae}.b{fill:#fff}"
    ".m{stroke-dasharray:2 4}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.t{fill:#9198a1}"
    ".s{fill:#3fb950}.o{fill:#d29922}.w,.r{fill:#79c0ff}.l{stroke:#3d444d}"
    ".a{stroke:#79c0ff}.h{fill:#79c0ff}.b{fill:#0d1117}}";

/* Of several connections, each has a colour, and the seventh that of the first.
 */
enum { COLOURS = 6 };

static const struct {
    const char *light;
    const char *dark;
} colours[COLOURS] = {
    {"#0550ae", "#79c0ff"}, {"#bc4c00", "#ffa657"}, {"#8250df", "#d2a8ff"},
    {"#1b7c83", "#39c5cf"}, {"#bf3989", "#ff80c8"}, {"#4d6b00", "#a5c83a"},
};

/* What a text is: style has a class for each. */
enum class {
    CALL,
    NAME,
    TIME,
    STATE,
    NOTE,
    SEGMENT,
    REPORT,
    MARK,
};

static const char *const attributes[] = {
    [CALL] = "",
    [NAME] = " class=\"n\"",
    [TIME] = " class=\"t\"",
    [STATE] = " class=\"s\"",
    [NOTE] = " class=\"o\"",
    [SEGMENT] = " class=\"w\"",
    [REPORT] = " class=\"r\"",
    [MARK] = " class=\"k\"",
};

/* Three characters mean something to XML (XML 1.0, section 2.4). */
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
            break;
        }
    }
}

static void write_text(FILE *out, size_t x, size_t y, enum class class,
                       const char *text) {
    (void)fprintf(out, "<text x=\"%zu\" y=\"%zu\"%s>", x, y, attributes[class]);
    write_escaped(out, text);
    (void)fputs("</text>\n", out);
}

/* Where the lifeline of a place stands, in pixels from the left. */
static size_t lifeline(const struct rows *rows, size_t place) {
    size_t characters = TIME_WIDTH + 1 + place * (rows->width + 1);
    return CHARACTER * characters;
}

/* Where the text of a row stands, in pixels from the top. */
static size_t baseline(size_t row) {
    return TOP + ROW * (row + 1) - BASELINE;
}

/* ---- rows -----------------------------------------------------------------*/

/* A line that has a gap for its label, and its head. */
static void write_arrow(FILE *out, size_t from, size_t to, size_t gap, size_t y,
                        enum row_kind kind) {
    size_t middle = (from + to) / 2;
    size_t line = y - HALF_HEAD;
    size_t first_end = middle - gap;
    size_t second_end = middle + gap;
    size_t head = to - HEAD;
    if (to < from) {
        first_end = middle + gap;
        second_end = middle - gap;
        head = to + HEAD;
    }
    (void)fprintf(out, "<path class=\"a%s\" d=\"M%zu %zuH%zuM%zu %zuH%zu\"/>",
                  kind == ROW_MESSAGE ? " m" : "", from, line, first_end,
                  second_end, line, head);
    (void)fprintf(out, "<path class=\"h\" d=\"M%zu %zuL%zu %zuV%zuz\"/>\n", to,
                  line, head, line - HALF_HEAD, line + HALF_HEAD);
}

static void draw_arrow(FILE *out, const struct rows *rows,
                       const struct row *row, size_t y) {
    size_t from = lifeline(rows, row->from);
    size_t to = lifeline(rows, row->to);
    size_t length = to > from ? to - from : from - to;
    size_t room = length / CHARACTER - 4;
    char label[ROW_TEXT_BYTES];
    size_t gap = row_shorten(row->text, room, label) * CHARACTER / 2 + MARGIN;
    if (row->kind != ROW_LABEL)
        write_arrow(out, from, to, gap, y, row->kind);
    write_text(out, (from + to) / 2, y, SEGMENT, label);
}

static void draw_time(FILE *out, const struct row *row, size_t y) {
    char text[32];
    row_format_time(row, text, sizeof text);
    if (text[0] != '\0')
        write_text(out, TIME_RIGHT, y, TIME, text + strspn(text, " "));
}

/* What a text in a column is. */
static enum class class_of(const struct row *row) {
    switch (row->kind){
        case ROW_NOTE : return NOTE; case ROW_REPORT : return REPORT;
        default : return CALL;
    }
}

/* Draws the letter of a connection on the lifeline. */
static void draw_mark(FILE *out, const struct rows *rows, const struct row *row,
                      size_t y) {
    const char mark[] = {row->mark, '\0'};
    size_t x = lifeline(rows, row->from);
    (void)fprintf(out, "<circle class=\"h\" cx=\"%zu\" cy=\"%zu\" r=\"%d\"/>\n",
                  x, y - HALF_HEAD, RADIUS);
    write_text(out, x, y - 1, MARK, mark);
}

static void draw_what(FILE *out, const struct rows *rows, const struct row *row,
                      size_t y) {
    char state[64];
    if (row_is_arrow(row) || row->kind == ROW_LABEL) {
        draw_arrow(out, rows, row, y);
        return;
    }
    if (row->mark != '\0' && row->has_time)
        draw_mark(out, rows, row, y);
    if (row->text[0] != '\0')
        write_text(out, lifeline(rows, row->from) + MARGIN, y, class_of(row),
                   row->text);
    row_format_state(row, state, sizeof state);
    if (state[0] != '\0')
        write_text(out, lifeline(rows, row->from + 1) - MARGIN, y, STATE,
                   state);
}

static void draw_row(FILE *out, const struct rows *rows, const struct row *row,
                     size_t y) {
    draw_time(out, row, y);
    if (row->connection == 0) {
        draw_what(out, rows, row, y);
        return;
    }
    (void)fprintf(out, "<g class=\"c%u\">\n", (row->connection - 1) % COLOURS);
    draw_what(out, rows, row, y);
    (void)fputs("</g>\n", out);
}

/* ---- the image ------------------------------------------------------------*/

static bool has_connections(const struct rows *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->all[i].connection != 0)
            return true;
    return false;
}

static void write_colour(FILE *out, size_t number, const char *colour) {
    (void)fprintf(out, ".c%zu text,.c%zu .h{fill:%s}.c%zu .a{stroke:%s}",
                  number, number, colour, number, colour);
}

/* The colours of several connections, and of the letters on their marks. */
static void draw_colours(FILE *out) {
    (void)fputs("<style>", out);
    for (size_t i = 0; i < COLOURS; i++)
        write_colour(out, i, colours[i].light);
    (void)fputs("text.k{font-size:10px;font-weight:bold;text-anchor:middle;"
                "fill:#fff}@media(prefers-color-scheme:dark){",
                out);
    for (size_t i = 0; i < COLOURS; i++)
        write_colour(out, i, colours[i].dark);
    (void)fputs("text.k{fill:#0d1117}}</style>\n", out);
}

static void draw_frame(FILE *out, size_t width, size_t height) {
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" "
                  "height=\"%zu\" viewBox=\"0 0 %zu %zu\">\n",
                  width, height, width, height);
    (void)fprintf(out, "<style>%s</style>\n", style);
    (void)fputs("<rect class=\"b\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n",
                out);
}

static void draw_columns(FILE *out, const struct rows *rows,
                         const struct picture *picture, size_t height) {
    size_t places = row_places(picture);
    write_text(out, TIME_RIGHT, NAMES, TIME, "ms");
    for (size_t i = 0; i < places; i++) {
        size_t x = lifeline(rows, i);
        write_text(out, x, NAMES, NAME, row_name_at(picture, i));
        (void)fprintf(out, "<path class=\"l\" d=\"M%zu %dV%zu\"/>\n", x,
                      LIFELINE, height - MARGIN);
    }
}

int svg_draw(FILE *out, const struct picture *picture) {
    size_t places = row_places(picture);
    size_t column = places > 2 ? COLUMN : WIDE_COLUMN;
    struct rows rows;
    int result = row_make(&rows, picture, column);
    size_t drawn = rows.count;
    size_t lines = rows.count;
    if (rows.count > MOST_ROWS) {
        drawn = MOST_ROWS;
        lines = MOST_ROWS + 1; /* the last one says how many are missing */
    }
    size_t height = TOP + ROW * (lines + 1);
    draw_frame(out, lifeline(&rows, places), height);
    if (has_connections(&rows))
        draw_colours(out);
    draw_columns(out, &rows, picture, height);
    for (size_t i = 0; i < drawn; i++)
        draw_row(out, &rows, &rows.all[i], baseline(i));
    if (drawn < rows.count) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %zu more rows",
                       rows.count - drawn);
        write_text(out, lifeline(&rows, 0) + MARGIN, baseline(drawn), NOTE,
                   text);
    }
    (void)fputs("</svg>\n", out);
    row_free(&rows);
    return result;
}
