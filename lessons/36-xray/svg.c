#include "svg.h"

#include <stdbool.h>
#include <string.h>

#include "row.h"
#include "span.h"

enum {
    TIME_WIDTH = 9,  /* characters before the first column */
    MOST_PITCH = 54, /* characters from a lifeline to the next one, */
    LEAST_TEXT = 17, /* and at the least those of a column's text */
    ROOM = 108,      /* characters of all columns together: so many have their
                        full size in a page 830 pixels wide, */
    MORE_ROOM = 120, /* and so many are still legible: of three and more */
    GUTTER = 2, /* characters between a lifeline and its text, for states */
    MOST_ROWS = 220,
    /* In pixels: */
    CHARACTER = 7,                             /* no character is wider */
    TIME_RIGHT = CHARACTER * (TIME_WIDTH - 1), /* where a time ends */
    ROW = 18,
    TOP = 34,       /* above the first row */
    NAMES = 22,     /* where the names of the columns stand */
    LIFELINE = 30,  /* where the lifelines begin */
    MARGIN = 8,     /* between a lifeline and its text */
    HEAD = 8,       /* the length of an arrow's head, */
    RADIUS = 6,     /* of a connection's mark */
    HALF_HEAD = 4,  /* and half its height */
    BASELINE = 6,   /* of a text, above the lower edge of its row */
    HALF_BAR = 3,   /* half the width of the bar of a process that sleeps */
    LANES = 3,      /* of states, beside a lifeline */
    LANE = 8,       /* from a lifeline to the middle of its first lane, */
    LANE_PITCH = 5, /* and from there to that of the next one */
    GAP = 2,        /* between a state and the next one */
};

static const char style[] =
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328;"
    "white-space:pre}"
    ".n{font-weight:bold}.t{fill:#59636e;text-anchor:end}"
    ".s{fill:#1a7f37;text-anchor:end}.o{fill:#9a6700}"
    ".w{fill:#0550ae;text-anchor:middle;stroke:#fff;stroke-width:6px;"
    "paint-order:stroke}.r{fill:#0550ae}"
    ".l{stroke:#d1d9e0}.a{stroke:#0550ae}.h{fill:#0550ae}.b{fill:#fff}"
    ".m{stroke-dasharray:2 4}.q{fill:#8c959f}.d{fill:#59636e}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.t{fill:#9198a1}"
    ".s{fill:#3fb950}.o{fill:#d29922}.w,.r{fill:#79c0ff}.l{stroke:#3d444d}"
    ".w{stroke:#0d1117}.a{stroke:#79c0ff}.h{fill:#79c0ff}.b{fill:#0d1117}.q{"
    "fill:#768390}.d{fill:"
    "#9198a1}}";

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

/* The states of TCP are of five kinds. Each has a line of its own, and where
 * the picture has only one connection, a colour of its own too. */
static const char state_style[] =
    ".z{stroke-width:4}.zc{stroke-width:1}.zl{stroke-dasharray:2 4}"
    ".zs{stroke-dasharray:2}.zf{stroke-dasharray:7 2}"
    ".zc{stroke:#59636e}.zl{stroke:#57708f}.zs{stroke:#9a6700}"
    ".ze{stroke:#1a7f37}.zf{stroke:#bc4c00}"
    "text.zc{fill:#59636e}text.zl{fill:#57708f}text.zs{fill:#9a6700}"
    "text.ze{fill:#1a7f37}text.zf{fill:#bc4c00}text.s{stroke:none}"
    "@media(prefers-color-scheme:dark){"
    ".zc{stroke:#9198a1}.zl{stroke:#8fa9c9}.zs{stroke:#d29922}"
    ".ze{stroke:#3fb950}.zf{stroke:#ffa657}"
    "text.zc{fill:#9198a1}text.zl{fill:#8fa9c9}text.zs{fill:#d29922}"
    "text.ze{fill:#3fb950}text.zf{fill:#ffa657}}";

static const struct {
    const char *state;
    const char *class;
} state_classes[] = {
    {"CLOSE", "zc"},    {"LISTEN", "zl"},      {"SYN_SENT", "zs"},
    {"SYN_RECV", "zs"}, {"ESTABLISHED", "ze"},
};

/* All others are those of a connection that is being closed; "" is none. */
static const char *state_class(const char *state) {
    if (state[0] == '\0')
        return "";
    for (size_t i = 0; i < sizeof state_classes / sizeof state_classes[0]; i++)
        if (strcmp(state_classes[i].state, state) == 0)
            return state_classes[i].class;
    return "zf";
}

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
    LEGEND,
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
    [LEGEND] = " class=\"d\"",
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

/* A picture that is being drawn. */
struct image {
    FILE *out;
    const struct picture *picture;
    struct rows rows;
    struct spans sleeps;
    struct spans states;
    size_t places;
    size_t pitch;  /* characters from a lifeline to the next one */
    size_t gutter; /* characters between a lifeline and its text */
    size_t drawn;  /* rows: those beyond MOST_ROWS are counted only */
};

/* Where the lifeline of a place stands, in pixels from the left. */
static size_t lifeline(const struct image *image, size_t place) {
    size_t characters = TIME_WIDTH + 1 + place * image->pitch;
    return CHARACTER * characters;
}

/* Where the text of a place begins. */
static size_t text_left(const struct image *image, size_t place) {
    size_t left = lifeline(image, place) + MARGIN;
    return image->gutter > 0 ? left + LANES * LANE_PITCH : left;
}

/* Where the text of a row stands, in pixels from the top. */
static size_t baseline(size_t row) {
    return TOP + ROW * (row + 1) - BASELINE;
}

/* ---- what lasts over several rows -----------------------------------------*/

/* Draws the inside of a group that has the colour of a connection; or without a
 * group for 0. */
static void begin_group(FILE *out, unsigned connection) {
    if (connection != 0)
        (void)fprintf(out, "<g class=\"c%u\">\n", (connection - 1) % COLOURS);
}

static void end_group(FILE *out, unsigned connection) {
    if (connection != 0)
        (void)fputs("</g>\n", out);
}

static void write_bar(FILE *out, size_t x, size_t top, size_t bottom) {
    (void)fprintf(out,
                  "<rect class=\"q\" x=\"%zu\" y=\"%zu\" width=\"%d\" "
                  "height=\"%zu\"/>\n",
                  x - HALF_BAR, top, 2 * HALF_BAR, bottom - top);
}

static void write_state_line(FILE *out, size_t x, size_t top, size_t bottom,
                             const char *class) {
    (void)fprintf(out, "<path class=\"z %s\" d=\"M%zu %zuV%zu\"/>\n", class, x,
                  top, bottom);
}

/* The middle of a row; or of the first one that is not drawn, for those below
 * it. */
static size_t middle_of(const struct image *image, size_t row) {
    if (row > image->drawn)
        row = image->drawn;
    return baseline(row) - HALF_HEAD;
}

/* Draws a bar on the lifeline of each process while it sleeps. It is grey, so
 * that it differs from the states beside it. */
static void draw_sleeps(const struct image *image) {
    for (size_t i = 0; i < image->sleeps.count; i++) {
        const struct span *span = &image->sleeps.all[i];
        if (span->first < image->drawn)
            write_bar(image->out, lifeline(image, span->place),
                      middle_of(image, span->first),
                      middle_of(image, span->end));
    }
}

/* Draws a line for each state, beside the lifeline. */
static void draw_states(const struct image *image) {
    for (size_t i = 0; i < image->states.count; i++) {
        const struct span *span = &image->states.all[i];
        unsigned connection = span->event->connection;
        size_t x =
            lifeline(image, span->place) + LANE + LANE_PITCH * span->lane;
        if (span->first >= image->drawn)
            continue;
        begin_group(image->out, connection);
        write_state_line(image->out, x,
                         middle_of(image, span->first) - ROW / 2 + GAP,
                         middle_of(image, span->end) - ROW / 2,
                         state_class(span->event->state));
        end_group(image->out, connection);
    }
}

/* ---- rows -----------------------------------------------------------------*/

static void write_head(FILE *out, size_t tip, size_t end, size_t line) {
    (void)fprintf(out, "<path class=\"h\" d=\"M%zu %zuL%zu %zuV%zuz\"/>\n", tip,
                  line, end, line - HALF_HEAD, line + HALF_HEAD);
}

/* Draws the line of an arrow, which has a gap for its label around middle, and
 * its head, or both of them. */
static void write_arrow(FILE *out, const struct row *row, size_t from,
                        size_t to, size_t middle, size_t gap, size_t y) {
    const char *broken = row->kind == ROW_MESSAGE ? " m" : "";
    size_t left = from < to ? from : to;
    size_t right = from < to ? to : from;
    size_t line = y - HALF_HEAD;
    bool has_left = to < from || row->both_ways;
    bool has_right = from < to || row->both_ways;
    (void)fprintf(out, "<path class=\"a%s\" d=\"M%zu %zuH%zuM%zu %zuH%zu\"/>",
                  broken, has_left ? left + HEAD : left, line, middle - gap,
                  middle + gap, line, has_right ? right - HEAD : right);
    if (has_left)
        write_head(out, left, left + HEAD, line);
    if (has_right)
        write_head(out, right, right - HEAD, line);
}

/* The label stands in the middle between the states at the left and the
 * lifeline at the right. */
static void draw_arrow(const struct image *image, const struct row *row,
                       size_t y) {
    size_t from = lifeline(image, row->from);
    size_t to = lifeline(image, row->to);
    size_t states = CHARACTER * image->gutter;
    size_t middle = (from + to + states) / 2;
    size_t length = to > from ? to - from : from - to;
    size_t room = (length - states) / CHARACTER - 4;
    char label[ROW_TEXT_BYTES];
    size_t gap = row_shorten(row->text, room, label) * CHARACTER / 2 + MARGIN;
    if (row->kind != ROW_LABEL)
        write_arrow(image->out, row, from, to, middle, gap, y);
    write_text(image->out, middle, y, SEGMENT, label);
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
static void draw_mark(const struct image *image, const struct row *row,
                      size_t y) {
    const char mark[] = {row->mark, '\0'};
    size_t x = lifeline(image, row->from);
    (void)fprintf(image->out,
                  "<circle class=\"h\" cx=\"%zu\" cy=\"%zu\" r=\"%d\"/>\n", x,
                  y - HALF_HEAD, RADIUS);
    write_text(image->out, x, y - 1, MARK, mark);
}

/* Writes the name of a state at the right edge of its column. */
static void draw_state(const struct image *image, const struct row *row,
                       size_t y) {
    char state[64];
    row_format_state(row, state, sizeof state);
    if (state[0] == '\0')
        return;
    (void)fprintf(
        image->out, "<text x=\"%zu\" y=\"%zu\" class=\"s%s%s\">%s</text>\n",
        lifeline(image, row->from + 1) - MARGIN, y,
        row->state[0] == '\0' ? "" : " ", state_class(row->state), state);
}

static void draw_what(const struct image *image, const struct row *row,
                      size_t y) {
    if (row_is_arrow(row) || row->kind == ROW_LABEL) {
        draw_arrow(image, row, y);
        return;
    }
    if (row->mark != '\0' && row->has_time)
        draw_mark(image, row, y);
    if (row->text[0] != '\0')
        write_text(image->out, text_left(image, row->from), y, class_of(row),
                   row->text);
    draw_state(image, row, y);
}

static void draw_row(const struct image *image, const struct row *row,
                     size_t y) {
    draw_time(image->out, row, y);
    begin_group(image->out, row->connection);
    draw_what(image, row, y);
    end_group(image->out, row->connection);
}

/* ---- the image ------------------------------------------------------------*/

static bool has_connections(const struct rows *rows) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->all[i].connection != 0)
            return true;
    return false;
}

static void write_colour(FILE *out, size_t number, const char *colour) {
    (void)fprintf(out,
                  ".c%zu text,.c%zu .h{fill:%s}"
                  ".c%zu .a,.c%zu .z{stroke:%s}",
                  number, number, colour, number, number, colour);
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

/* Writes the names of the columns from left to right: "client, server". */
static void write_names(const struct image *image) {
    for (size_t i = 0; i < image->places; i++) {
        if (i > 0)
            (void)fputs(", ", image->out);
        write_escaped(image->out, row_name_at(image->picture, i));
    }
}

/* What a program that reads pages aloud says in place of the image. */
static void draw_title(const struct image *image) {
    FILE *out = image->out;
    (void)fputs("<title id=\"title\">X-ray: ", out);
    write_names(image);
    (void)fputs(
        "</title>\n<desc id=\"desc\">What happened, from top to bottom. "
        "Each of these has a column, from left to right: ",
        out);
    write_names(image);
    (void)fputs(". A column has the system calls of a program, and the states "
                "of its TCP sockets. An arrow between two columns is a segment "
                "or a message.</desc>\n",
                out);
}

static void draw_frame(const struct image *image, size_t width, size_t height) {
    FILE *out = image->out;
    (void)fprintf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" "
                  "height=\"%zu\" viewBox=\"0 0 %zu %zu\" role=\"img\" "
                  "aria-labelledby=\"title desc\">\n",
                  width, height, width, height);
    draw_title(image);
    (void)fprintf(out, "<style>%s</style>\n", style);
    if (image->gutter > 0)
        (void)fprintf(out, "<style>%s</style>\n", state_style);
    if (has_connections(&image->rows))
        draw_colours(out);
    (void)fputs("<rect class=\"b\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n",
                out);
}

static void draw_columns(const struct image *image, size_t bottom) {
    write_text(image->out, TIME_RIGHT, NAMES, TIME, "ms");
    for (size_t i = 0; i < image->places; i++) {
        size_t x = lifeline(image, i);
        write_text(image->out, x, NAMES, NAME, row_name_at(image->picture, i));
        (void)fprintf(image->out, "<path class=\"l\" d=\"M%zu %dV%zu\"/>\n", x,
                      LIFELINE, bottom);
    }
}

/* Says what bars and lines beside a lifeline are. */
static void draw_legend(const struct image *image, size_t y) {
    size_t x = lifeline(image, 0);
    if (image->sleeps.count > 0) {
        write_bar(image->out, x, y - HALF_BAR * 4, y + HALF_BAR);
        write_text(image->out, x + MARGIN, y, LEGEND, "sleeps in a call");
        x += 20 * CHARACTER;
    }
    if (image->states.count > 0) {
        write_state_line(image->out, x, y - HALF_BAR * 4, y + HALF_BAR, "ze");
        write_text(image->out, x + MARGIN, y, LEGEND, "TCP state of a socket");
    }
}

static bool has_states(const struct picture *picture) {
    for (size_t i = 0; i < picture->count; i++)
        if (picture->events[i].state[0] != '\0')
            return true;
    return false;
}

/* Decides how wide the columns are. */
static void measure(struct image *image) {
    image->places = row_places(image->picture);
    size_t room = image->places > 2 ? MORE_ROOM : ROOM;
    image->gutter = has_states(image->picture) ? GUTTER : 0;
    image->pitch = MOST_PITCH;
    if (image->places * MOST_PITCH > room)
        image->pitch = room / image->places;
    if (image->pitch < LEAST_TEXT + image->gutter)
        image->pitch = LEAST_TEXT + image->gutter;
}

static void draw_image(struct image *image) {
    size_t rows = image->rows.count;
    image->drawn = rows < MOST_ROWS ? rows : MOST_ROWS;
    size_t lines = image->drawn;
    if (image->drawn < rows)
        lines++; /* it says how many are missing */
    size_t bottom = TOP + ROW * lines + ROW - MARGIN;
    size_t height = bottom + MARGIN;
    if (image->sleeps.count + image->states.count > 0)
        height += ROW;
    draw_frame(image, lifeline(image, image->places), height);
    draw_columns(image, bottom);
    draw_states(image);
    draw_sleeps(image);
    for (size_t i = 0; i < image->drawn; i++)
        draw_row(image, &image->rows.all[i], baseline(i));
    if (image->drawn < rows) {
        char text[64];
        (void)snprintf(text, sizeof text, "and %zu more rows",
                       rows - image->drawn);
        write_text(image->out, text_left(image, 0), baseline(image->drawn),
                   NOTE, text);
    }
    draw_legend(image, height - MARGIN);
    (void)fputs("</svg>\n", image->out);
}

int svg_draw(FILE *out, const struct picture *picture) {
    struct image image = {.out = out, .picture = picture};
    measure(&image);
    int result = row_make(&image.rows, picture, image.pitch - 1 - image.gutter,
                          ROW_STATE_CHANGES);
    if (span_find_sleeps(&image.sleeps, &image.rows) < 0)
        result = -1;
    if (span_find_states(&image.states, &image.rows, LANES) < 0)
        result = -1;
    draw_image(&image);
    span_free(&image.sleeps);
    span_free(&image.states);
    row_free(&image.rows);
    return result;
}
