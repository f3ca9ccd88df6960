#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arrow.h"
#include "entry.h"
#include "row.h"
#include "span.h"
#include "timeline.h"
#include "utf8.h"

enum {
    TIME_WIDTH = 9, /* of "12345.67 " before the first column */
    NARROWEST = 16, /* of a column in a picture that keeps to its width */
    ARROW_ENDS = 4, /* two dashes, or one and the head; two blanks */
};

/* Characters of Unicode, and what stands for them in ASCII. */
enum {
    BAR = 0x2502,
    THICK = 0x2503, /* the bar of a process that sleeps */
    DASH = 0x2500,
    BROKEN = 0x254c, /* a dash of a message's arrow: it crosses no wire */
    RIGHT = 0x25b6,
    LEFT = 0x25c0,
};

/* The first characters that UTF-8 writes as two, three and four bytes. All
 * before the first one are those of ASCII. */
enum {
    FIRST_TWO_BYTES = 0x80,
    FIRST_THREE_BYTES = 0x800,
    FIRST_FOUR_BYTES = 0x10000,
};

/* A line of the drawing, before it is written: one number a character. */
struct line {
    uint32_t *characters;
    size_t length;
};

static void write_ascii(FILE *out, uint32_t character) {
    switch (character) {
    case BAR:
        (void)fputc('|', out);
        break;
    case THICK:
        (void)fputc('#', out);
        break;
    case DASH:
        (void)fputc('-', out);
        break;
    case BROKEN:
        (void)fputc('.', out);
        break;
    case LEFT:
        (void)fputc('<', out);
        break;
    case RIGHT:
        (void)fputc('>', out);
        break;
    default:
        if (character < FIRST_TWO_BYTES)
            (void)fputc((int)character, out);
        else
            (void)fputc('?', out);
        break;
    }
}

/* Writes the first byte of a character of several bytes: the mark that says how
 * many they are, and the bits of the character from `shift` on. */
static void write_first(FILE *out, uint32_t mark, uint32_t character,
                        unsigned shift) {
    uint32_t bits = character >> shift;
    (void)fputc((int)(mark | bits), out);
}

/* Writes another byte of such a character: six bits of it, from `shift` on. */
static void write_later(FILE *out, uint32_t character, unsigned shift) {
    uint32_t bits = (character >> shift) & 0x3f;
    (void)fputc((int)(0x80 | bits), out);
}

/* UTF-8 (RFC 3629, section 3): one byte, two, three or four. */
static void write_utf8(FILE *out, uint32_t character) {
    if (character < FIRST_TWO_BYTES) {
        (void)fputc((int)character, out);
    } else if (character < FIRST_THREE_BYTES) {
        write_first(out, 0xc0, character, 6);
        write_later(out, character, 0);
    } else if (character < FIRST_FOUR_BYTES) {
        write_first(out, 0xe0, character, 12);
        write_later(out, character, 6);
        write_later(out, character, 0);
    } else {
        write_first(out, 0xf0, character, 18);
        write_later(out, character, 12);
        write_later(out, character, 6);
        write_later(out, character, 0);
    }
}

/* Writes a line without the blanks at its end. */
static void write_line(FILE *out, const struct line *line,
                       enum text_characters characters) {
    size_t length = line->length;
    while (length > 0 && line->characters[length - 1] == ' ')
        length--;
    for (size_t i = 0; i < length; i++) {
        if (characters == TEXT_UNICODE)
            write_utf8(out, line->characters[i]);
        else
            write_ascii(out, line->characters[i]);
    }
    (void)fputc('\n', out);
}

/* Puts a text at a position, and nothing at `end` or behind it. We take each
 * character to be as wide as all others, which is true of most scripts. */
static void put_text(struct line *line, size_t at, size_t end,
                     const char *text) {
    while (*text != '\0' && at < end) {
        line->characters[at] = utf8_next(&text);
        at++;
    }
}

/* A lifeline's position. */
static size_t position(const struct rows *rows, size_t place) {
    return TIME_WIDTH + place * rows->width;
}

/* Puts a label in the middle between the lifelines at left and at right. */
static void put_label(struct line *line, size_t left, size_t right,
                      const char *label) {
    size_t between = right - left - 1;
    char shown[ROW_TEXT_BYTES];
    size_t length = arrow_shorten_label(label, between - ARROW_ENDS, shown);
    size_t at = left + 1 + (between - length) / 2;
    line->characters[at - 1] = ' ';
    line->characters[at + length] = ' ';
    put_text(line, at, at + length, shown);
}

/* Puts the line of an arrow between the lifelines at left and at right, and its
 * heads. */
static void put_arrow(struct line *line, size_t left, size_t right,
                      const struct row *row) {
    bool goes_right = row->from < row->to;
    uint32_t dash = DASH;
    if (row->kind == ROW_MESSAGE)
        dash = BROKEN;
    for (size_t i = left + 1; i < right; i++)
        line->characters[i] = dash;
    if (goes_right || row->both_ways)
        line->characters[right - 1] = RIGHT;
    if (!goes_right || row->both_ways)
        line->characters[left + 1] = LEFT;
}

/* Puts an arrow with its label; or only the label if it belongs to the arrow in
 * the row above. */
static void put_arrow_row(struct line *line, const struct rows *rows,
                          const struct row *row) {
    size_t left = position(rows, row->from);
    size_t right = position(rows, row->to);
    if (row->from > row->to) {
        left = position(rows, row->to);
        right = position(rows, row->from);
    }
    if (row->kind != ROW_LABEL)
        put_arrow(line, left, right, row);
    put_label(line, left, right, row->text);
}

/* Puts a text at its place, and the state at the right edge of the column. */
static void put_text_row(struct line *line, const struct rows *rows,
                         const struct row *row) {
    char state[64];
    size_t left = position(rows, row->from);
    size_t right = left + rows->width;
    if (row->mark != '\0' && row->has_time)
        line->characters[left] = (uint32_t)row->mark;
    /* At left stands the lifeline, and then a blank. */
    put_text(line, left + 2, right - 1, row->text);
    row_format_state(row, state, sizeof state);
    put_text(line, right - 1 - strlen(state), right, state);
}

static void put_row(struct line *line, const struct rows *rows,
                    const struct row *row) {
    char time[32];
    row_format_time(row, time, sizeof time);
    put_text(line, 0, TIME_WIDTH, time);
    if (row_is_arrow(row) || row->kind == ROW_LABEL)
        put_arrow_row(line, rows, row);
    else
        put_text_row(line, rows, row);
}

static void clear_line(struct line *line) {
    for (size_t i = 0; i < line->length; i++)
        line->characters[i] = ' ';
}

/* Puts the lifelines of all places into the line of a row. */
static void put_lifelines(struct line *line, const struct rows *rows,
                          size_t places, const struct spans *sleeps,
                          size_t row) {
    for (size_t i = 0; i < places; i++) {
        uint32_t *lifeline = &line->characters[position(rows, i)];
        *lifeline = BAR;
        if (span_covers(sleeps, i, row))
            *lifeline = THICK;
    }
}

static void put_names(struct line *line, const struct rows *rows,
                      const struct picture *picture) {
    size_t places = row_places(picture);
    put_text(line, 0, TIME_WIDTH, "     ms");
    for (size_t i = 0; i < places; i++) {
        char name[ROW_TEXT_BYTES];
        put_text(line, position(rows, i), position(rows, i + 1) - 1,
                 row_format_name(picture, i, rows->width - 1, name));
    }
}

/* Says what a thick lifeline means, if there is one. */
static void write_legend(FILE *out, const struct spans *sleeps,
                         enum text_characters characters) {
    if (sleeps->count == 0)
        return;
    if (characters == TEXT_UNICODE)
        write_utf8(out, THICK);
    else
        write_ascii(out, THICK);
    (void)fputs(" beside a program: it sleeps in a call.\n", out);
}

/* Draws the picture's names and rows into a line, one after the other. */
static void write_rows(FILE *out, struct line *line,
                       const struct picture *picture, const struct rows *rows,
                       const struct spans *sleeps,
                       enum text_characters characters) {
    clear_line(line);
    put_names(line, rows, picture);
    write_line(out, line, characters);
    for (size_t i = 0; i < rows->count; i++) {
        clear_line(line);
        put_lifelines(line, rows, row_places(picture), sleeps, i);
        put_row(line, rows, &rows->all[i]);
        write_line(out, line, characters);
    }
}

int text_draw(FILE *out, const struct picture *picture, size_t width,
              enum text_characters characters) {
    size_t places = row_places(picture);
    struct rows rows;
    struct spans sleeps;
    if (places == 0 || picture->count == 0)
        return 0;
    size_t column = (width - TIME_WIDTH) / places;
    if (column < NARROWEST)
        column = entry_least_width(picture);
    struct line line = {.length = TIME_WIDTH + column * places};
    line.characters = calloc(line.length + 1, sizeof *line.characters);
    if (line.characters == NULL)
        return -1;
    int result = timeline_make(&rows, picture, column, ROW_ALL_STATES);
    if (span_find_sleeps(&sleeps, &rows) < 0)
        result = -1;
    write_rows(out, &line, picture, &rows, &sleeps, characters);
    write_legend(out, &sleeps, characters);
    free(line.characters);
    span_free(&sleeps);
    row_free(&rows);
    return result;
}
