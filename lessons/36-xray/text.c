#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"
#include "utf8.h"

enum {
    TIME_WIDTH = 9, /* "12345.67 " before the first column */
    NARROWEST = 16, /* of a column */
    ARROW_ENDS = 4, /* two dashes, or one and the head; two blanks */
};

/* Characters of Unicode, and what stands for them in ASCII. */
enum {
    BAR = 0x2502,
    DASH = 0x2500,
    BROKEN = 0x254c, /* a dash of a line that is none on the wire */
    RIGHT = 0x25b6,
    LEFT = 0x25c0,
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
        (void)fputc(character < 0x80 ? (int)character : '?', out);
        break;
    }
}

/* The byte of a character that has the six bits from `shift` on, which is not
 * its first byte. */
static int later_byte(uint32_t character, unsigned shift) {
    return (int)(0x80 | (character >> shift & 0x3f));
}

/* UTF-8 (RFC 3629, section 3): one byte, two, three or four. */
static void write_utf8(FILE *out, uint32_t character) {
    if (character < 0x80) {
        (void)fputc((int)character, out);
        return;
    }
    if (character < 0x800) {
        (void)fputc((int)(0xc0 | character >> 6), out);
    } else if (character < 0x10000) {
        (void)fputc((int)(0xe0 | character >> 12), out);
        (void)fputc(later_byte(character, 6), out);
    } else {
        (void)fputc((int)(0xf0 | character >> 18), out);
        (void)fputc(later_byte(character, 12), out);
        (void)fputc(later_byte(character, 6), out);
    }
    (void)fputc(later_byte(character, 0), out);
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

/* Puts a label in the middle between two lifelines. */
static void put_label(struct line *line, size_t from, size_t to,
                      const char *label) {
    size_t left = from < to ? from : to;
    size_t right = from < to ? to : from;
    size_t room = right - left - 1 - ARROW_ENDS;
    char shown[ROW_TEXT_BYTES];
    size_t length = row_shorten(label, room, shown);
    size_t at = left + 1 + (room + ARROW_ENDS - length) / 2;
    line->characters[at - 1] = ' ';
    line->characters[at + length] = ' ';
    put_text(line, at, at + length, shown);
}

/* Puts an arrow between two lifelines, with its label in the middle. */
static void put_arrow(struct line *line, size_t from, size_t to, uint32_t dash,
                      const char *label) {
    size_t left = from < to ? from : to;
    size_t right = from < to ? to : from;
    for (size_t i = left + 1; i < right; i++)
        line->characters[i] = dash;
    if (from < to)
        line->characters[right - 1] = RIGHT;
    else
        line->characters[left + 1] = LEFT;
    put_label(line, from, to, label);
}

/* A lifeline's position. */
static size_t position(const struct rows *rows, size_t place) {
    return TIME_WIDTH + place * rows->width;
}

static void put_row(struct line *line, const struct rows *rows,
                    const struct row *row) {
    char time[32];
    char state[64];
    row_format_time(row, time, sizeof time);
    put_text(line, 0, TIME_WIDTH, time);
    if (row->kind == ROW_LABEL) {
        put_label(line, position(rows, row->from), position(rows, row->to),
                  row->text);
        return;
    }
    if (row_is_arrow(row)) {
        put_arrow(line, position(rows, row->from), position(rows, row->to),
                  row->kind == ROW_MESSAGE ? BROKEN : DASH, row->text);
        return;
    }
    size_t left = position(rows, row->from);
    size_t right = left + rows->width;
    if (row->mark != '\0' && row->has_time)
        line->characters[left] = (uint32_t)row->mark;
    put_text(line, left + 2, right - 1, row->text);
    row_format_state(row, state, sizeof state);
    put_text(line, right - 1 - strlen(state), right, state);
}

/* Makes a line of blanks, with the lifelines of so many places. */
static void clear_line(struct line *line, const struct rows *rows,
                       size_t places) {
    for (size_t i = 0; i < line->length; i++)
        line->characters[i] = ' ';
    for (size_t i = 0; i < places; i++)
        line->characters[position(rows, i)] = BAR;
}

static void put_names(struct line *line, const struct rows *rows,
                      const struct picture *picture) {
    size_t places = row_places(picture);
    put_text(line, 0, TIME_WIDTH, "     ms");
    for (size_t i = 0; i < places; i++)
        put_text(line, position(rows, i), position(rows, i + 1) - 1,
                 row_name_at(picture, i));
}

int text_draw(FILE *out, const struct picture *picture, size_t width,
              enum text_characters characters) {
    size_t places = row_places(picture);
    struct rows rows;
    if (places == 0 || picture->count == 0)
        return 0;
    size_t column = (width - TIME_WIDTH) / places;
    if (column < NARROWEST)
        column = NARROWEST;
    struct line line = {.length = TIME_WIDTH + column * places};
    line.characters = calloc(line.length + 1, sizeof *line.characters);
    if (line.characters == NULL)
        return -1;
    int result = row_make(&rows, picture, column);
    clear_line(&line, &rows, 0);
    put_names(&line, &rows, picture);
    write_line(out, &line, characters);
    for (size_t i = 0; i < rows.count; i++) {
        clear_line(&line, &rows, places);
        put_row(&line, &rows, &rows.all[i]);
        write_line(out, &line, characters);
    }
    free(line.characters);
    row_free(&rows);
    return result;
}
