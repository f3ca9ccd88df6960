/*
 * hellos: writes the first bytes of a TLS client to standard output.
 *
 *     hellos [-t] [-n NAME] [-s SEED] [-m MIX] [-x EXTRA] KIND
 *     hellos kinds
 *
 * The client asks for NAME (server.example). Its cipher suites, groups and
 * extensions are drawn from SEED (1), so the same SEED is always the same
 * client. KIND says what is special about these bytes; the table `kinds` below
 * has them all. `hellos kinds` lists them, with "good" where a ClientHello can
 * be read, and "bad" where it cannot.
 *
 * What changes from one connection to the next is drawn from MIX, which is
 * another number each time if it is not given. In a kind that begins with
 * `long-`, one length is larger by EXTRA (1) than it should be.
 *
 * With -t, it writes instead the text of which the fingerprint of lesson 34's
 * exercise is made, such as "4865-4866-,0-10-,29-,".
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum kind {
    PLAIN,
    SHUFFLED,
    SORTED,
    GREASE,
    NEAR_GREASE,
    DOUBLED,
    RECORDS,
    TWO_RECORDS,
    LATE_RECORD,
    NO_NAME,
    ECH,
    NO_EXTENSIONS,
    FULL,
    FULL_RECORDS,
    MANY,
    LONGEST,
    BEHIND,
    BEHIND_IN_RECORD,
    CUT,
    CUT_HEADER,
    CUT_END,
    LONG_RECORD,
    LONG_MESSAGE,
    LONG_SESSION,
    LONG_SUITES,
    LONG_COMPRESSION,
    LONG_EXTENSIONS,
    LONG_EXTENSION,
    LONG_NAME,
    LONG_NAME_LIST,
    LONG_GROUPS,
    LONG_PROTOCOL,
    LONG_PROTOCOLS,
    LONG_VERSIONS,
    ODD_SUITES,
    ODD_GROUPS,
    ODD_VERSIONS,
    SHORT_BODY,
    EMPTY_NAME,
    OTHER_NAME,
    TWICE,
    TOO_MANY,
    TOO_LONG,
    EMPTY_RECORD,
    HUGE_RECORD,
    OTHER_RECORD,
    OTHER_VERSION,
    OTHER_MESSAGE,
    HTTP,
    EMPTY,
    KINDS
};

static const struct {
    const char *name;
    bool is_good;
} kinds[KINDS] = {
    [PLAIN] = {"plain", true},
    /* its lists in another order each time, with GREASE in them */
    [SHUFFLED] = {"shuffled", true},
    /* its lists begin with the smallest number, and end with the largest */
    [SORTED] = {"sorted", true},
    /* the same, but with all GREASE there is, at random places */
    [GREASE] = {"grease", true},
    /* sorted, with numbers that look like GREASE, but are not */
    [NEAR_GREASE] = {"near-grease", true},
    /* the first of its suites and of its groups come once more */
    [DOUBLED] = {"doubled", true},
    /* one byte in each record */
    [RECORDS] = {"records", true},
    [TWO_RECORDS] = {"two-records", true},
    /* the last byte comes in a record of its own */
    [LATE_RECORD] = {"late-record", true},
    [NO_NAME] = {"no-name", true},
    /* has the extension encrypted_client_hello */
    [ECH] = {"ech", true},
    [NO_EXTENSIONS] = {"no-extensions", true},
    /* has 128 extensions */
    [FULL] = {"full", true},
    /* the same, with one byte in each record */
    [FULL_RECORDS] = {"full-records", true},
    /* has 1500 suites, and as many groups */
    [MANY] = {"many", true},
    /* the message has 16,384 bytes */
    [LONGEST] = {"longest", true},
    /* other records follow */
    [BEHIND] = {"behind", true},
    /* the same record has another message */
    [BEHIND_IN_RECORD] = {"behind-in-record", true},
    [CUT] = {"cut", false},
    /* has only some bytes of the first record's header */
    [CUT_HEADER] = {"cut-header", false},
    /* its last byte is missing */
    [CUT_END] = {"cut-end", false},
    /* the record is not complete, but the message is */
    [LONG_RECORD] = {"long-record", true},
    [LONG_MESSAGE] = {"long-message", false},
    [LONG_SESSION] = {"long-session", false},
    [LONG_SUITES] = {"long-suites", false},
    [LONG_COMPRESSION] = {"long-compression", false},
    [LONG_EXTENSIONS] = {"long-extensions", false},
    [LONG_EXTENSION] = {"long-extension", false},
    [LONG_NAME] = {"long-name", false},
    [LONG_NAME_LIST] = {"long-name-list", false},
    [LONG_GROUPS] = {"long-groups", false},
    [LONG_PROTOCOL] = {"long-protocol", false},
    [LONG_PROTOCOLS] = {"long-protocols", false},
    [LONG_VERSIONS] = {"long-versions", false},
    /* a list of two-byte numbers has an odd number of bytes */
    [ODD_SUITES] = {"odd-suites", false},
    [ODD_GROUPS] = {"odd-groups", false},
    [ODD_VERSIONS] = {"odd-versions", false},
    /* the message ends within the 32 random bytes */
    [SHORT_BODY] = {"short-body", false},
    [EMPTY_NAME] = {"empty-name", false},
    /* the name is of a kind that does not exist */
    [OTHER_NAME] = {"other-name", false},
    /* has an extension twice */
    [TWICE] = {"twice", false},
    /* has 129 extensions */
    [TOO_MANY] = {"too-many", false},
    /* the message has 16,385 bytes */
    [TOO_LONG] = {"too-long", false},
    [EMPTY_RECORD] = {"empty-record", false},
    [HUGE_RECORD] = {"huge-record", false},
    /* an alert */
    [OTHER_RECORD] = {"other-record", false},
    /* the first byte of the record's version is not 3 */
    [OTHER_VERSION] = {"other-version", false},
    /* a ServerHello */
    [OTHER_MESSAGE] = {"other-message", false},
    [HTTP] = {"http", false},
    [EMPTY] = {"empty", false},
};

enum {
    HANDSHAKE = 22, /* the type of a record */
    ALERT = 21,
    APPLICATION_DATA = 23,
    CLIENT_HELLO = 1, /* the type of a message */
    SERVER_HELLO = 2,
    RECORD_HEADER_BYTES = 5,
    LARGEST_RECORD = 16384,
    RANDOM_BYTES = 32,
    LONGEST_MESSAGE = 16384, /* that common/hello reads */
    FULL_EXTENSIONS = 128,   /* the most that it reads */
    MOST_NUMBERS = 2000,     /* in a list */
    MANY_NUMBERS = 1500,     /* in two lists of MANY */
    GREASES = 16,
    NAME_BYTES = 60000,
    BUFFER_BYTES = 1 << 17,
};

/* The types of extensions. */
enum {
    SERVER_NAME = 0,
    GROUPS = 10,
    PROTOCOLS = 16,
    PADDING = 21,
    VERSIONS = 43,
    ECH_TYPE = 0xfe0d,
    FIRST_UNKNOWN = 30000, /* of FULL, MANY and TOO_MANY */
};

/* Numbers to draw from. */
static const unsigned all_suites[] = {
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8,
    0xcca9, 0xc009, 0xc00a, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
    0x0035, 0x000a, 0x00ff, 0x5600, 0x1304, 0x1305, 0x009e, 0x009f,
};
static const unsigned all_groups[] = {
    0x001d, 0x0017, 0x0018, 0x0019, 0x001e, 0x0100, 0x0101, 0x11ec, 0x6399,
};
/* Extensions of which we only know the type. */
static const unsigned all_extensions[] = {
    5, 11, 13, 18, 22, 23, 27, 28, 34, 35, 45, 49, 50, 51, 17513, 65281,
};
static const unsigned near_grease[] = {
    0x0a1a, 0x1a0a, 0x0b0b, 0x2a3a, 0xfafb, 0xaa0a, 0x00aa, 0x1b1b,
};

struct list {
    size_t count;
    unsigned numbers[MOST_NUMBERS];
};

struct bytes {
    size_t length;
    uint8_t data[BUFFER_BYTES];
};

struct client {
    enum kind kind;
    const char *name;
    unsigned extra;
    struct list suites;
    struct list groups;
    struct list extensions;
};

/* ---- Drawing --------------------------------------------------------------*/

static uint64_t random_state;

/* Draws a number below limit. */
static size_t draw(size_t limit) {
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (size_t)(random_state >> 33) % limit;
}

static void start_drawing(uint64_t seed) {
    random_state = seed;
    for (int i = 0; i < 4; i++)
        (void)draw(2);
}

static void insert(struct list *list, size_t place, unsigned number) {
    if (list->count == MOST_NUMBERS)
        errx(1, "a list is too long");
    for (size_t i = list->count; i > place; i--)
        list->numbers[i] = list->numbers[i - 1];
    list->numbers[place] = number;
    list->count++;
}

static void append(struct list *list, unsigned number) {
    insert(list, list->count, number);
}

static void shuffle(struct list *list) {
    for (size_t i = list->count; i > 1; i--) {
        size_t other = draw(i);
        unsigned number = list->numbers[i - 1];
        list->numbers[i - 1] = list->numbers[other];
        list->numbers[other] = number;
    }
}

/* Draws at least `least` of the numbers of a table, in any order. */
static void draw_list(struct list *list, const unsigned *table, size_t count,
                      size_t least) {
    for (size_t i = 0; i < count; i++)
        append(list, table[i]);
    shuffle(list);
    list->count = least + draw(count - least + 1);
}

static unsigned grease(size_t which) {
    unsigned byte = (unsigned)(which % GREASES) << 4 | 0xa;
    return byte << 8 | byte;
}

static void draw_client(struct client *client) {
    draw_list(&client->suites, all_suites,
              sizeof all_suites / sizeof all_suites[0], 3);
    draw_list(&client->groups, all_groups,
              sizeof all_groups / sizeof all_groups[0], 2);
    draw_list(&client->extensions, all_extensions,
              sizeof all_extensions / sizeof all_extensions[0], 3);
    insert(&client->extensions, 0, SERVER_NAME);
    insert(&client->extensions, 1, GROUPS);
    insert(&client->extensions, 2, PROTOCOLS);
    insert(&client->extensions, 3, VERSIONS);
}

static void remove_number(struct list *list, unsigned number) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->numbers[i] != number) {
            list->numbers[kept] = list->numbers[i];
            kept++;
        }
    }
    list->count = kept;
}

/* Adds so many numbers to a list that there are `count`. */
static void add_unknown(struct list *list, size_t count) {
    unsigned number = FIRST_UNKNOWN;
    while (list->count < count) {
        append(list, number);
        number++;
    }
}

/* Puts so many numbers that mean nothing at random places of a list. */
static void add_grease(struct list *list, size_t count) {
    size_t which = draw(GREASES);
    for (size_t i = 0; i < count; i++)
        insert(list, draw(list->count + 1), grease(which + i));
}

static void add_grease_to_all(struct client *client, size_t count) {
    add_grease(&client->suites, count);
    add_grease(&client->groups, count);
    add_grease(&client->extensions, count);
}

static int compare_numbers(const void *a, const void *b) {
    unsigned left = *(const unsigned *)a;
    unsigned right = *(const unsigned *)b;
    if (left < right)
        return -1;
    if (left > right)
        return 1;
    return 0;
}

static void sort(struct list *list) {
    qsort(list->numbers, list->count, sizeof list->numbers[0], compare_numbers);
}

static void sort_all(struct client *client) {
    sort(&client->suites);
    sort(&client->groups);
    sort(&client->extensions);
}

/* Makes the lists what the kind wants. */
static void change_lists(struct client *client) {
    switch (client->kind) {
    case SHUFFLED:
        shuffle(&client->suites);
        shuffle(&client->groups);
        shuffle(&client->extensions);
        add_grease_to_all(client, 2);
        break;
    case SORTED:
        sort_all(client);
        break;
    case GREASE:
        sort_all(client);
        add_grease_to_all(client, GREASES);
        break;
    case NEAR_GREASE:
        for (size_t i = 0; i < sizeof near_grease / sizeof near_grease[0];
             i++) {
            append(&client->suites, near_grease[i]);
            append(&client->groups, near_grease[i]);
            append(&client->extensions, near_grease[i]);
        }
        sort_all(client);
        break;
    case DOUBLED:
        append(&client->suites, client->suites.numbers[0]);
        append(&client->groups, client->groups.numbers[0]);
        break;
    case NO_NAME:
        remove_number(&client->extensions, SERVER_NAME);
        break;
    case ECH:
        append(&client->extensions, ECH_TYPE);
        break;
    case NO_EXTENSIONS:
        client->extensions.count = 0;
        client->groups.count = 0;
        break;
    case FULL:
    case FULL_RECORDS:
        add_unknown(&client->extensions, FULL_EXTENSIONS);
        break;
    case MANY:
        add_unknown(&client->suites, MANY_NUMBERS);
        add_unknown(&client->groups, MANY_NUMBERS);
        break;
    case TOO_MANY:
        add_unknown(&client->extensions, FULL_EXTENSIONS + 1);
        break;
    case TWICE:
        append(&client->extensions,
               client->extensions.numbers[draw(client->extensions.count)]);
        break;
    case LONGEST:
    case TOO_LONG:
        append(&client->extensions, PADDING);
        break;
    default:
        break;
    }
}

/* ---- Bytes ----------------------------------------------------------------*/

static void put_byte(struct bytes *bytes, unsigned byte) {
    if (bytes->length == BUFFER_BYTES)
        errx(1, "these are too many bytes");
    bytes->data[bytes->length] = (uint8_t)byte;
    bytes->length++;
}

static void put_number(struct bytes *bytes, unsigned number) {
    put_byte(bytes, number >> 8);
    put_byte(bytes, number & 0xff);
}

static void put_random(struct bytes *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        put_byte(bytes, (unsigned)draw(256));
}

/* Begins a field whose length stands in front of it, in `width` bytes. Returns
 * where this length is. */
static size_t begin_field(struct bytes *bytes, size_t width) {
    size_t place = bytes->length;
    for (size_t i = 0; i < width; i++)
        put_byte(bytes, 0);
    return place;
}

/* Writes the length of a field that ends here, plus extra, if the width allows
 * that. */
static void end_field(struct bytes *bytes, size_t place, size_t width,
                      size_t extra) {
    size_t length = bytes->length - place - width + extra;
    size_t largest = ((size_t)1 << 8 * width) - 1;
    if (length > largest)
        length = largest;
    for (size_t i = width; i > 0; i--) {
        bytes->data[place + i - 1] = (uint8_t)(length & 0xff);
        length >>= 8;
    }
}

/* Says by how much a length is larger than it should be. */
static size_t extra_for(const struct client *client, enum kind kind) {
    if (client->kind == kind)
        return client->extra;
    return 0;
}

/* ---- The message ----------------------------------------------------------*/

static void put_list(struct bytes *bytes, const struct list *list) {
    for (size_t i = 0; i < list->count; i++)
        put_number(bytes, list->numbers[i]);
}

/* The names of tests may have any bytes, which are written as in printf:
 * "\001". */
static void put_name(struct bytes *bytes, const char *name) {
    while (*name != '\0') {
        if (*name == '\\' && strlen(name) >= 4) {
            const char digits[] = {name[1], name[2], name[3], '\0'};
            put_byte(bytes, (unsigned)strtoul(digits, NULL, 8) & 0xff);
            name += 4;
        } else {
            put_byte(bytes, (unsigned char)*name);
            name++;
        }
    }
}

static void put_server_name(struct bytes *bytes, const struct client *client) {
    unsigned kind_of_name = 0; /* there is no other kind */
    if (client->kind == OTHER_NAME)
        kind_of_name = 1;
    size_t list = begin_field(bytes, 2);
    put_byte(bytes, kind_of_name);
    size_t name = begin_field(bytes, 2);
    if (client->kind != EMPTY_NAME)
        put_name(bytes, client->name);
    end_field(bytes, name, 2, extra_for(client, LONG_NAME));
    end_field(bytes, list, 2, extra_for(client, LONG_NAME_LIST));
}

static void put_groups(struct bytes *bytes, const struct client *client) {
    size_t list = begin_field(bytes, 2);
    put_list(bytes, &client->groups);
    if (client->kind == ODD_GROUPS)
        put_byte(bytes, 0);
    end_field(bytes, list, 2, extra_for(client, LONG_GROUPS));
}

static void put_protocol(struct bytes *bytes, const char *name, size_t extra) {
    size_t field = begin_field(bytes, 1);
    put_name(bytes, name);
    end_field(bytes, field, 1, extra);
}

static void put_protocols(struct bytes *bytes, const struct client *client) {
    size_t list = begin_field(bytes, 2);
    put_protocol(bytes, "h2", 0);
    put_protocol(bytes, "http/1.1", extra_for(client, LONG_PROTOCOL));
    end_field(bytes, list, 2, extra_for(client, LONG_PROTOCOLS));
}

static void put_versions(struct bytes *bytes, const struct client *client) {
    size_t list = begin_field(bytes, 1);
    if (client->kind == SHUFFLED)
        put_number(bytes, grease(draw(GREASES)));
    put_number(bytes, 0x0304);
    put_number(bytes, 0x0303);
    if (client->kind == ODD_VERSIONS)
        put_byte(bytes, 3);
    end_field(bytes, list, 1, extra_for(client, LONG_VERSIONS));
}

/* Fills up the message, from its begin on, until it is as long as the kind
 * wants. */
static void put_padding(struct bytes *bytes, const struct client *client,
                        size_t begin) {
    size_t wanted = begin + LONGEST_MESSAGE;
    if (client->kind == TOO_LONG)
        wanted++;
    while (bytes->length < wanted)
        put_byte(bytes, 0);
}

static void put_extension(struct bytes *bytes, const struct client *client,
                          size_t index, size_t begin) {
    unsigned type = client->extensions.numbers[index];
    put_number(bytes, type);
    size_t field = begin_field(bytes, 2);
    if (type == SERVER_NAME)
        put_server_name(bytes, client);
    else if (type == GROUPS)
        put_groups(bytes, client);
    else if (type == PROTOCOLS)
        put_protocols(bytes, client);
    else if (type == VERSIONS)
        put_versions(bytes, client);
    else if (type == PADDING)
        put_padding(bytes, client, begin);
    else
        put_random(bytes, draw(20));
    size_t extra = 0;
    if (index == client->extensions.count - 1)
        extra = extra_for(client, LONG_EXTENSION);
    end_field(bytes, field, 2, extra);
}

static void put_body(struct bytes *bytes, const struct client *client,
                     size_t begin) {
    put_number(bytes, 0x0303);
    if (client->kind == SHORT_BODY) {
        put_random(bytes, draw(RANDOM_BYTES));
        return;
    }
    put_random(bytes, RANDOM_BYTES);
    size_t session = begin_field(bytes, 1);
    put_random(bytes, 32);
    end_field(bytes, session, 1, extra_for(client, LONG_SESSION));
    size_t suites = begin_field(bytes, 2);
    put_list(bytes, &client->suites);
    if (client->kind == ODD_SUITES)
        put_byte(bytes, 0x13);
    end_field(bytes, suites, 2, extra_for(client, LONG_SUITES));
    size_t compression = begin_field(bytes, 1);
    put_byte(bytes, 0);
    end_field(bytes, compression, 1, extra_for(client, LONG_COMPRESSION));
    if (client->extensions.count == 0)
        return;
    size_t extensions = begin_field(bytes, 2);
    for (size_t i = 0; i < client->extensions.count; i++)
        put_extension(bytes, client, i, begin);
    end_field(bytes, extensions, 2, extra_for(client, LONG_EXTENSIONS));
}

static void put_message(struct bytes *bytes, const struct client *client) {
    size_t begin = bytes->length;
    unsigned type = CLIENT_HELLO;
    if (client->kind == OTHER_MESSAGE)
        type = SERVER_HELLO;
    put_byte(bytes, type);
    size_t body = begin_field(bytes, 3);
    put_body(bytes, client, begin);
    end_field(bytes, body, 3, extra_for(client, LONG_MESSAGE));
    if (client->kind == BEHIND_IN_RECORD)
        put_random(bytes, 1 + draw(100));
}

/* ---- The records ----------------------------------------------------------*/

static void put_record(struct bytes *bytes, const struct client *client,
                       unsigned type, const uint8_t *data, size_t length) {
    put_byte(bytes, type);
    if (client->kind == OTHER_VERSION)
        put_byte(bytes, 2);
    else
        put_byte(bytes, 3);
    put_byte(bytes, 1);
    size_t field = begin_field(bytes, 2);
    for (size_t i = 0; i < length; i++)
        put_byte(bytes, data[i]);
    end_field(bytes, field, 2, extra_for(client, LONG_RECORD));
}

/* Divides the message into records of so many bytes, of which the first one may
 * be another size. */
static void put_records(struct bytes *bytes, const struct client *client,
                        const struct bytes *message, size_t first,
                        size_t size) {
    unsigned type = HANDSHAKE;
    if (client->kind == OTHER_RECORD)
        type = ALERT;
    size_t length = first;
    size_t sent = 0;
    while (sent < message->length) {
        if (length > message->length - sent)
            length = message->length - sent;
        put_record(bytes, client, type, message->data + sent, length);
        sent += length;
        length = size;
    }
}

static void put_all(struct bytes *bytes, const struct client *client,
                    const struct bytes *message) {
    size_t all = message->length;
    switch (client->kind) {
    case RECORDS:
    case FULL_RECORDS:
        put_records(bytes, client, message, 1, 1);
        break;
    case TWO_RECORDS:
        put_records(bytes, client, message, 1 + draw(all - 1), LARGEST_RECORD);
        break;
    case LATE_RECORD:
        put_records(bytes, client, message, all - 1, LARGEST_RECORD);
        break;
    case EMPTY_RECORD:
        put_record(bytes, client, HANDSHAKE, message->data, 0);
        put_records(bytes, client, message, all, all);
        break;
    case HUGE_RECORD: /* one byte longer than a record may be */
        put_record(bytes, client, HANDSHAKE, message->data, LARGEST_RECORD + 1);
        break;
    default:
        put_records(bytes, client, message, LARGEST_RECORD, LARGEST_RECORD);
    }
    if (client->kind == BEHIND) {
        put_record(bytes, client, ALERT, (const uint8_t *)"\1\0", 2);
        put_record(bytes, client, APPLICATION_DATA, message->data, 50);
        put_random(bytes, draw(10));
    }
}

static void write_bytes(const struct client *client) {
    static struct bytes message;
    static struct bytes bytes;
    if (client->kind == HTTP) {
        fputs("GET / HTTP/1.1\r\nHost: server.example\r\n\r\n", stdout);
        return;
    }
    if (client->kind == EMPTY)
        return;
    put_message(&message, client);
    put_all(&bytes, client, &message);
    if (client->kind == CUT)
        bytes.length =
            RECORD_HEADER_BYTES + draw(bytes.length - RECORD_HEADER_BYTES);
    if (client->kind == CUT_END)
        bytes.length--;
    if (client->kind == CUT_HEADER)
        bytes.length = 1 + draw(RECORD_HEADER_BYTES - 1);
    (void)fwrite(bytes.data, 1, bytes.length, stdout);
}

/* ---- The text -------------------------------------------------------------*/

static bool is_grease(unsigned number) {
    for (size_t i = 0; i < GREASES; i++) {
        if (number == grease(i))
            return true;
    }
    return false;
}

static void write_list(struct list *list) {
    sort(list);
    for (size_t i = 0; i < list->count; i++) {
        if (!is_grease(list->numbers[i]))
            printf("%u-", list->numbers[i]);
    }
    printf(",");
}

/* ---- Arguments ------------------------------------------------------------*/

static _Noreturn void usage(void) {
    fputs("usage: hellos [-t] [-n NAME] [-s SEED] [-m MIX] [-x EXTRA] KIND\n"
          "       hellos kinds\n",
          stderr);
    exit(2);
}

static uint64_t parse_number(const char *text) {
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        usage();
    return number;
}

static enum kind parse_kind(const char *name) {
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return (enum kind)i;
    }
    errx(2, "there is no kind %s; `hellos kinds` lists them", name);
}

static void write_kinds(void) {
    for (int i = 0; i < KINDS; i++)
        printf("%s %s\n", kinds[i].name, kinds[i].is_good ? "good" : "bad");
}

static _Noreturn void end_program(void) {
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    exit(0);
}

int main(int argc, char **argv) {
    static struct client client = {.name = "server.example", .extra = 1};
    uint64_t seed = 1;
    uint64_t mix;
    bool writes_text = false;
    if (getrandom(&mix, sizeof mix, 0) != sizeof mix)
        err(1, "getrandom");
    for (;;) {
        int option = getopt(argc, argv, "+tn:s:m:x:");
        if (option == -1)
            break;
        if (option == 't')
            writes_text = true;
        else if (option == 'n')
            client.name = optarg;
        else if (option == 's')
            seed = parse_number(optarg);
        else if (option == 'm')
            mix = parse_number(optarg);
        else if (option == 'x')
            client.extra = (unsigned)parse_number(optarg);
        else
            usage();
    }
    if (argc != optind + 1)
        usage();
    if (strlen(client.name) > NAME_BYTES)
        errx(2, "the name is too long");
    if (strcmp(argv[optind], "kinds") == 0) {
        write_kinds();
        end_program();
    }
    client.kind = parse_kind(argv[optind]);
    start_drawing(seed);
    draw_client(&client);
    start_drawing(mix);
    change_lists(&client);
    if (writes_text) {
        write_list(&client.suites);
        write_list(&client.extensions);
        write_list(&client.groups);
        printf("\n");
    } else {
        write_bytes(&client);
    }
    end_program();
}
