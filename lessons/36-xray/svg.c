#include "svg.h"

#include <stdbool.h>
#include <string.h>

#include "arrow.h"
#include "entry.h"
#include "row.h"
#include "span.h"
#include "timeline.h"

enum {
    MOST_ROWS = 1000, /* rows beyond are counted, not drawn. Six actors that
                         say hello need about 370, if none is folded */
    LANES = 3,        /* of states, beside a lifeline */
};

/* Widths in characters. */
enum {
    TIME_WIDTH = 9,  /* before the first column */
    MOST_PITCH = 54, /* from a lifeline to the next one, at the most */
    ROOM = 108,      /* of all columns together: so much has its full size in a
                        page that is 830 pixels wide */
    MORE_ROOM = 120, /* of three and more columns together: it is drawn smaller,
                        and is still legible */
    GUTTER = 2,      /* between a lifeline and its text, for states */
    ARROW_ENDS = 4,  /* of an arrow, beside its label */
};

/* Sizes and positions in pixels. */
enum {
    CHARACTER = 7, /* about as wide as a character is */
    TIME_RIGHT = CHARACTER * (TIME_WIDTH - 1), /* where a time ends */
    ROW = 18,                                  /* the height of a row */
    TOP = 34,                                  /* where the first row begins */
    NAMES = 22,     /* the baseline of the columns' names */
    LIFELINE = 30,  /* where the lifelines begin */
    MARGIN = 8,     /* between a lifeline and its text */
    HEAD = 8,       /* the length of an arrow's head */
    HALF_HEAD = 4,  /* half the height of an arrow's head */
    RADIUS = 6,     /* of a connection's mark */
    BASELINE = 6,   /* of a text, above the lower edge of its row */
    HALF_BAR = 3,   /* half the width of the bar of a process that sleeps */
    LANE = 8,       /* from a lifeline to the middle of its first lane */
    LANE_PITCH = 5, /* from the middle of a lane to that of the next one */
    LANES_WIDTH = LANES * LANE_PITCH,
    GAP = 2, /* between a state and the next one, or between the ground
                of a label and the edge of its row */
    LEGEND_ABOVE = 12, /* how far a bar in the legend reaches above the text */
    LEGEND_WIDTH = 20 * CHARACTER, /* from a part of the legend to the next */
};

/* The classes of texts are those of `attributes`, below. Of the others, .l is a
 * lifeline, .a an arrow, .m the broken line of a message, .h an arrow's head or
 * a mark, .b the background, and .q a bar. */
static const char style[] =
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328;"
    "white-space:pre}"
    ".n{font-weight:bold}.t{fill:#59636e;text-anchor:end}"
    ".s{fill:#1a7f37;text-anchor:end}.o{fill:#9a6700}"
    ".w{fill:#0550ae;text-anchor:middle}.r{fill:#0550ae}"
    ".l{stroke:#d1d9e0}.a{stroke:#0550ae}.h{fill:#0550ae}.b{fill:#fff}"
    ".m{stroke-dasharray:2 4}.q{fill:#8c959f}.d{fill:#59636e}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.t{fill:#9198a1}"
    ".s{fill:#3fb950}.o{fill:#d29922}.w,.r{fill:#79c0ff}.l{stroke:#3d444d}"
    ".a{stroke:#79c0ff}.h{fill:#79c0ff}.b{fill:#0d1117}"
    ".q{fill:#768390}.d{fill:#9198a1}}";

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

/* The class of a state; "" if there is none. All states that the table does not
 * have are those of a connection that is being closed. */
static const char *state_class(const char *state) {
    if (state[0] == '\0')
        return "";
    for (size_t i = 0; i < sizeof state_classes / sizeof state_classes[0]; i++)
        if (strcmp(state_classes[i].state, state) == 0)
            return state_classes[i].class;
    return "zf";
}

/* What a text is: style has a class for each. */
enum text_class {
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
    for (size_t i = 0; text[i] != '\0'; i++) {
        switch (text[i]) {
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
            (void)fputc(text[i], out);
            break;
        }
    }
}

static void write_text(FILE *out, size_t x, size_t y, enum text_class class,
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
    size_t drawn;  /* how many rows are drawn */
};

/* Where the lifeline of a place stands, in pixels from the left. */
static size_t lifeline(const struct image *image, size_t place) {
    size_t characters = TIME_WIDTH + 1 + place * image->pitch;
    return CHARACTER * characters;
}

/* Where the text of a place begins. */
static size_t text_left(const struct image *image, size_t place) {
    size_t left = lifeline(image, place) + MARGIN;
    if (image->gutter > 0)
        left += LANES_WIDTH;
    return left;
}

/* Where the text of a row stands, in pixels from the top. */
static size_t baseline(size_t row) {
    return TOP + ROW * (row + 1) - BASELINE;
}

/* ---- what lasts over several rows -----------------------------------------*/

/* Begins a group, which has the colour of a connection. What belongs to no
 * connection, number 0, is drawn without a group. */
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

/* The middle of a row, in pixels from the top. All rows that are not drawn have
 * that of the first of them. */
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

/* Draws the line of a state, beside the lifeline. */
static void draw_state_line(const struct image *image,
                            const struct span *span) {
    unsigned connection = span->event->connection;
    size_t first_lane = lifeline(image, span->place) + LANE;
    size_t x = first_lane + LANE_PITCH * span->lane;
    size_t top = middle_of(image, span->first) - ROW / 2 + GAP;
    size_t bottom = middle_of(image, span->end) - ROW / 2;
    begin_group(image->out, connection);
    write_state_line(image->out, x, top, bottom,
                     state_class(span->event->state));
    end_group(image->out, connection);
}

static void draw_state_lines(const struct image *image) {
    for (size_t i = 0; i < image->states.count; i++) {
        const struct span *span = &image->states.all[i];
        if (span->first < image->drawn)
            draw_state_line(image, span);
    }
}

/* ---- rows -----------------------------------------------------------------*/

/* An arrow, in pixels. */
struct arrow {
    size_t left;   /* the lifeline at its left end */
    size_t right;  /* and the one at its right end */
    size_t middle; /* of its label */
    size_t gap;    /* half the width that is kept free for the label */
    bool head_at_left;
    bool head_at_right;
};

/* Finds out where an arrow and its label are drawn. Writes what is shown of the
 * label. The label stands in the middle between the states beside the left
 * lifeline and the right lifeline. */
static struct arrow measure_arrow(const struct image *image,
                                  const struct row *row,
                                  char label[ROW_TEXT_BYTES]) {
    size_t from = lifeline(image, row->from);
    size_t to = lifeline(image, row->to);
    size_t states = CHARACTER * image->gutter;
    struct arrow arrow;
    if (from < to) {
        arrow.left = from;
        arrow.right = to;
    } else {
        arrow.left = to;
        arrow.right = from;
    }
    size_t free_pixels = arrow.right - arrow.left - states;
    size_t room = free_pixels / CHARACTER - ARROW_ENDS;
    size_t length = arrow_shorten_label(row->text, room, label);
    arrow.middle = (arrow.left + arrow.right + states) / 2;
    arrow.gap = length * CHARACTER / 2 + MARGIN;
    arrow.head_at_left = to < from || row->both_ways;
    arrow.head_at_right = from < to || row->both_ways;
    return arrow;
}

/* In a path, M moves to a point, and L draws a line to one. H draws a line to
 * an x, V to a y, and z back to where the path begins: SVG 1.1, section 8.3. */
static void write_head(FILE *out, size_t tip, size_t end, size_t line) {
    (void)fprintf(out, "<path class=\"h\" d=\"M%zu %zuL%zu %zuV%zuz\"/>\n", tip,
                  line, end, line - HALF_HEAD, line + HALF_HEAD);
}

/* Draws the line of an arrow on both sides of its label, and its heads. */
static void write_arrow(FILE *out, const struct arrow *arrow,
                        enum row_kind kind, size_t y) {
    const char *broken = "";
    size_t begin = arrow->left;
    size_t end = arrow->right;
    size_t line = y - HALF_HEAD;
    if (kind == ROW_MESSAGE)
        broken = " m";
    if (arrow->head_at_left)
        begin += HEAD;
    if (arrow->head_at_right)
        end -= HEAD;
    (void)fprintf(out, "<path class=\"a%s\" d=\"M%zu %zuH%zuM%zu %zuH%zu\"/>",
                  broken, begin, line, arrow->middle - arrow->gap,
                  arrow->middle + arrow->gap, line, end);
    if (arrow->head_at_left)
        write_head(out, arrow->left, begin, line);
    if (arrow->head_at_right)
        write_head(out, arrow->right, end, line);
}

/* Draws the ground of a label, which hides the lifeline and the bar of a column
 * that the arrow passes; a little of them stays between two rows. */
static void write_ground(FILE *out, const struct arrow *arrow, size_t y) {
    (void)fprintf(out,
                  "<rect class=\"b\" x=\"%zu\" y=\"%zu\" width=\"%zu\" "
                  "height=\"%d\"/>\n",
                  arrow->middle - arrow->gap, y - ROW + BASELINE + GAP,
                  2 * arrow->gap, ROW - 2 * GAP);
}

/* Whether there is another column between the ends of an arrow. */
static bool passes_column(const struct row *row) {
    if (row->from < row->to)
        return row->from + 1 < row->to;
    return row->to + 1 < row->from;
}

/* Draws an arrow with its label; or only the label if it belongs to the arrow
 * in the row above. */
static void draw_arrow(const struct image *image, const struct row *row,
                       size_t y) {
    char label[ROW_TEXT_BYTES];
    struct arrow arrow = measure_arrow(image, row, label);
    if (row->kind != ROW_LABEL)
        write_arrow(image->out, &arrow, row->kind, y);
    if (passes_column(row))
        write_ground(image->out, &arrow, y);
    write_text(image->out, arrow.middle, y, SEGMENT, label);
}

static void draw_time(FILE *out, const struct row *row, size_t y) {
    char text[32];
    row_format_time(row, text, sizeof text);
    if (text[0] == '\0')
        return;
    const char *number = text + strspn(text, " "); /* without the padding */
    write_text(out, TIME_RIGHT, y, TIME, number);
}

/* What a text in a column is. */
static enum text_class class_of(const struct row *row) {
    switch (row->kind) {
    case ROW_NOTE:
        return NOTE;
    case ROW_REPORT:
        return REPORT;
    default:
        return CALL;
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
    const char *blank = " "; /* between the classes "s" and, say, "ze" */
    row_format_state(row, state, sizeof state);
    if (state[0] == '\0')
        return;
    if (row->state[0] == '\0')
        blank = ""; /* only a number of bytes, so there is no second class */
    size_t x = lifeline(image, row->from + 1) - MARGIN;
    (void)fprintf(image->out,
                  "<text x=\"%zu\" y=\"%zu\" class=\"s%s%s\">%s</text>\n", x, y,
                  blank, state_class(row->state), state);
}

static void draw_content(const struct image *image, const struct row *row,
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
    draw_content(image, row, y);
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

/* The colours of several connections, and of the letters on their marks (.k):
 * light ones first, and then those for readers who have chosen dark ones. */
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
        char name[ROW_TEXT_BYTES];
        /* Two characters less than there are, because the name is bold. */
        (void)row_format_name(image->picture, i, image->pitch - 2, name);
        write_text(image->out, x, NAMES, NAME, name);
        (void)fprintf(image->out, "<path class=\"l\" d=\"M%zu %dV%zu\"/>\n", x,
                      LIFELINE, bottom);
    }
}

/* Says what bars and lines beside a lifeline are. */
static void draw_legend(const struct image *image, size_t y) {
    size_t x = lifeline(image, 0);
    if (image->sleeps.count > 0) {
        write_bar(image->out, x, y - LEGEND_ABOVE, y + HALF_BAR);
        write_text(image->out, x + MARGIN, y, LEGEND, "sleeps in a call");
        x += LEGEND_WIDTH;
    }
    if (image->states.count > 0) {
        write_state_line(image->out, x, y - LEGEND_ABOVE, y + HALF_BAR, "ze");
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
static void measure_columns(struct image *image) {
    image->places = row_places(image->picture);
    size_t room = ROOM;
    if (image->places > 2)
        room = MORE_ROOM;
    if (has_states(image->picture))
        image->gutter = GUTTER; /* or else 0, as svg_draw has set it */
    image->pitch = MOST_PITCH;
    if (image->places * MOST_PITCH > room)
        image->pitch = room / image->places;
    size_t least = entry_least_width(image->picture) + 1 + image->gutter;
    if (image->pitch < least)
        image->pitch = least;
}

/* Says below the last row that is drawn how many are missing. */
static void draw_missing(const struct image *image) {
    char text[64];
    (void)snprintf(text, sizeof text, "and %zu more rows",
                   image->rows.count - image->drawn);
    write_text(image->out, text_left(image, 0), baseline(image->drawn), NOTE,
               text);
}

static void draw_image(struct image *image) {
    bool lacks_rows = image->rows.count > MOST_ROWS;
    bool has_legend = image->sleeps.count > 0 || image->states.count > 0;
    image->drawn = image->rows.count;
    if (lacks_rows)
        image->drawn = MOST_ROWS;
    size_t lines = image->drawn;
    if (lacks_rows)
        lines++; /* for draw_missing */
    size_t bottom = TOP + ROW * lines + ROW - MARGIN;
    size_t height = bottom + MARGIN;
    if (has_legend)
        height += ROW;
    draw_frame(image, lifeline(image, image->places), height);
    draw_columns(image, bottom);
    draw_state_lines(image);
    draw_sleeps(image);
    for (size_t i = 0; i < image->drawn; i++)
        draw_row(image, &image->rows.all[i], baseline(i));
    if (lacks_rows)
        draw_missing(image);
    draw_legend(image, height - MARGIN);
    (void)fputs("</svg>\n", image->out);
}

int svg_draw(FILE *out, const struct picture *picture) {
    struct image image = {.out = out, .picture = picture};
    measure_columns(&image);
    /* One character of the pitch is the lifeline's, and some are the states'.
     */
    size_t width = image.pitch - 1 - image.gutter;
    int result = timeline_make(&image.rows, picture, width, ROW_STATE_CHANGES);
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
