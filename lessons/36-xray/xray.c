/*
 * xray: plays a scene and draws what happened: the system calls of each actor,
 * the segments between them, and the TCP states, in one order of time.
 *
 * usage: 36-xray [-al] [-s FILE.svg] [-o FILE] [-t SECONDS] SCENE
 *        36-xray [-al] [-s FILE.svg] [-o FILE] [-t SECONDS] -c COMMAND...
 *
 * One process runs at a time, until it waits for something: so the same scene
 * gives the same picture. The times are real ones, and longer than without us.
 * What a scene's actors print goes nowhere but into the picture.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "deadline.h"
#include "packet.h"
#include "picture.h"
#include "record.h"
#include "schedule.h"
#include "svg.h"
#include "text.h"
#include "trace.h"

enum {
    MOST_ACTORS = 16,
    COMMAND_BYTES = 1024,
    FRAME_BYTES = 65536 + 64, /* of a frame, so many are looked at */
    WIRE_BYTES = 16 << 20,    /* of frames, so many may wait for us */
    TIME_LIMIT_MS = 20000,
    PARTING_MS = 2000, /* so long may the others take to end */
    NARROWEST = 40,    /* of columns of a terminal */
    WIDEST = 100,
    MOST_NUMBERS = 100,
    TIMED_OUT = 124, /* as timeout(1) has it */
    SIGNALLED = 128, /* and the shell */
};

struct actor {
    char name[32];
    char command[COMMAND_BYTES]; /* with {port} in it */
    pid_t pid;                   /* 0 before it is started */
    bool running, ready, ended;
    int status; /* as waitpid(2) has it */
};

struct xray {
    struct actor actors[MOST_ACTORS];
    size_t count, started;
    char *const *command; /* of -c, or NULL */
    char port[8];         /* what the last `listening on` line said */
    struct schedule schedule;
    struct record record;
    bool all;
    bool over;       /* the last actor has ended: nothing more is drawn */
    int wire;        /* sees what crosses the loopback; -1: we may not */
    int signals;     /* of our own */
    int nothing;     /* /dev/null */
    int64_t cut_off; /* when it was ended by us, or 0 */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 36-xray [-al] [-s FILE.svg] [-o FILE] [-t SECONDS] SCENE\n"
          "       36-xray [-al] [-s FILE.svg] [-o FILE] [-t SECONDS]"
          " -c COMMAND...\n",
          out);
    exit(status);
}

/* ---- the wire -------------------------------------------------------------*/

/* Each frame passes the loopback twice: when it is sent, and when it comes. We
 * look at it once, when it is sent (packet(7), PACKET_OUTGOING). */
static int open_wire(void) {
    int yes = 1;
    int room = WIRE_BYTES;
    struct sockaddr_ll loopback = {.sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int)if_nametoindex("lo")};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    0); /* and nothing before bind says of what */
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) < 0)
        err(1, "setsockopt SO_TIMESTAMPNS");
    if (bind(fd, (struct sockaddr *)&loopback, sizeof loopback) < 0)
        err(1, "bind lo");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return fd;
}

/* The kernel's own stamp, all that we asked for: when it was sent. */
static int64_t stamp_of(struct msghdr *message) {
    struct timespec at;
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part == NULL || part->cmsg_level != SOL_SOCKET ||
        part->cmsg_type != SCM_TIMESTAMPNS)
        return schedule_now();
    memcpy(&at, CMSG_DATA(part), sizeof at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void read_wire(struct xray *xray) {
    static uint8_t frame[FRAME_BYTES];
    char control[256];
    struct sockaddr_ll from;
    struct iovec part = {frame, sizeof frame};
    struct packet packet;
    ssize_t length;
    struct msghdr message;
    do {
        message = (struct msghdr){.msg_name = &from,
                                  .msg_namelen = sizeof from,
                                  .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof control};
        length = recvmsg(xray->wire, &message, MSG_TRUNC);
        if (length > 0 && from.sll_pkttype == PACKET_OUTGOING && !xray->over) {
            size_t captured =
                (size_t)length < sizeof frame ? (size_t)length : sizeof frame;
            (void)packet_parse(&packet, frame, captured, (size_t)length);
            record_frame(&xray->record, stamp_of(&message), &packet);
        }
    } while (length >= 0);
}

/* ---- the scene ------------------------------------------------------------*/

/* A line of it: NAME: COMMAND. */
static void read_actor(struct xray *xray, char *line, const char *path) {
    line[strcspn(line, "\n")] = '\0';
    if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
        return;
    char *command = strchr(line, ':');
    if (command == NULL || command == line)
        errx(1, "%s: no NAME: COMMAND: %s", path, line);
    if (xray->count == MOST_ACTORS)
        errx(1, "%s: more than %d actors", path, MOST_ACTORS);
    *command++ = '\0';
    command += strspn(command, " \t");
    struct actor *actor = &xray->actors[xray->count++];
    if (strlen(line) >= sizeof actor->name ||
        strlen(command) + 6 >= sizeof actor->command)
        errx(1, "%s: too long: %s", path, line);
    memcpy(actor->name, line, strlen(line) + 1);
    (void)snprintf(actor->command, sizeof actor->command, "exec %s", command);
}

static void read_scene(struct xray *xray, const char *path) {
    bool standard_input = strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    if (file == NULL)
        err(1, "%s", path);
    while (getline(&line, &size, file) >= 0)
        read_actor(xray, line, path);
    if (!feof(file)) /* ferror: or there was no memory for a line */
        err(1, "%s", path);
    if (xray->count == 0)
        errx(1, "%s: nobody in it", path);
    free(line);
    if (!standard_input)
        (void)fclose(file);
}

/* command with each {port} replaced. */
static void put_port(const char *command, const char *port, char *out) {
    while (*command != '\0') {
        if (strncmp(command, "{port}", 6) == 0 &&
            strlen(port) <= strlen("{port}")) {
            out = stpcpy(out, port);
            command += 6;
        } else {
            *out++ = *command++;
        }
    }
    *out = '\0';
}

static void start_actor(struct xray *xray) {
    struct actor *actor = &xray->actors[xray->started++];
    char command[COMMAND_BYTES];
    char shell[] = "/bin/sh", option[] = "-c";
    char *const words[] = {shell, option, command, NULL};
    uint32_t numbers[MOST_NUMBERS];
    struct trace_filter filter = {numbers, call_numbers(numbers, MOST_NUMBERS)};
    put_port(actor->command, xray->port, command);
    xray->schedule.filtered = !xray->all;
    actor->pid = trace_start(xray->command != NULL ? xray->command : words,
                             xray->command != NULL ? -1 : xray->nothing,
                             xray->all ? NULL : &filter);
    if (actor->pid < 0)
        err(1, "ptrace %s", actor->name);
    struct schedule_task *task = schedule_add(&xray->schedule, actor->pid);
    if (task == NULL)
        err(1, "%s", actor->name);
    task->process = record_add(&xray->record, actor->pid, -1, actor->name);
    if (task->process < 0)
        err(1, "%s", actor->name);
}

static struct actor *actor_of(struct xray *xray, pid_t pid) {
    for (size_t i = 0; i < xray->started; i++)
        if (xray->actors[i].pid == pid)
            return &xray->actors[i];
    return NULL;
}

/* ---- what happens ---------------------------------------------------------*/

/* `listening on 127.0.0.1:PORT`, or `capturing on lo`: the next one may come.
 */
static void look_for_port(struct xray *xray, pid_t task,
                          const struct trace_call *call) {
    static const char listening[] = "listening on ";
    static const char capturing[] = "capturing on ";
    char said[64] = "";
    size_t length = call_sent(task, call, said, sizeof said - 1);
    bool listens = strncmp(said, listening, sizeof listening - 1) == 0;
    if (length == 0 || call->arguments[0] != STDOUT_FILENO ||
        (!listens && strncmp(said, capturing, sizeof capturing - 1) != 0))
        return;
    said[strcspn(said, "\n")] = '\0';
    const char *colon = strrchr(said, ':');
    if (listens && colon != NULL && strlen(colon) <= sizeof xray->port)
        memcpy(xray->port, colon + 1, strlen(colon));
    for (size_t i = 0; i < xray->started; i++)
        xray->actors[i].ready = true;
}

static bool is_thread_of(pid_t task, pid_t process) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d", (int)process,
                   (int)task);
    return access(path, F_OK) == 0;
}

/* A new task is a process of its own, or another thread of its maker's. */
static void add_child(struct xray *xray, const struct trace_event *event,
                      int maker) {
    const struct record_process *parent = &xray->record.processes[maker];
    struct schedule_task *child = schedule_add(&xray->schedule, event->child);
    if (child == NULL)
        err(1, "task %d", (int)event->child);
    child->process =
        is_thread_of(event->child, parent->pid)
            ? maker
            : record_add(&xray->record, event->child, maker, parent->actor);
    if (child->process < 0)
        err(1, "task %d", (int)event->child);
}

static void note_end(struct xray *xray, const struct trace_event *event,
                     int process) {
    const struct record_process *self = &xray->record.processes[process];
    char text[64];
    if (self->pid != event->task)
        return; /* only a thread */
    if (WIFSIGNALED(event->status))
        (void)snprintf(text, sizeof text, "killed by %s",
                       trace_signal_name(WTERMSIG(event->status)));
    else
        (void)snprintf(text, sizeof text, "ends, status %d",
                       WEXITSTATUS(event->status));
    if (!xray->over)
        record_note(&xray->record, process,
                    self->leaving != 0 ? self->leaving : schedule_now(), text);
    struct actor *actor = actor_of(xray, event->task);
    if (actor != NULL) {
        actor->ready = actor->ended = true;
        actor->status = event->status;
    }
}

static void note_signal(struct xray *xray, const struct trace_event *event,
                        int process) {
    char text[32];
    if (xray->over || event->signal == SIGCHLD)
        return;
    (void)snprintf(text, sizeof text, "gets %s",
                   trace_signal_name(event->signal));
    record_note(&xray->record, process, schedule_now(), text);
}

static void handle(struct xray *xray, const struct trace_event *event,
                   struct schedule_task *task) {
    struct record_times times = {task->resumed, schedule_now(), task->waited};
    if (task->process < 0)
        return; /* its maker has not told us of it yet */
    struct actor *actor = actor_of(xray, task->id);
    switch (event->kind) {
    case TRACE_ENTER:
        /* What we do between fork and exec is none of its calls. */
        task->event_number =
            xray->over || (actor != NULL && !actor->running)
                ? -1
                : record_begin(&xray->record, task->process, task->id,
                               times.ended, &event->call, xray->all);
        break;
    case TRACE_RETURN:
        if (!xray->over && task->event_number >= 0)
            record_return(&xray->record, task->event_number, task->id, &times,
                          &event->call);
        look_for_port(xray, task->id, &event->call);
        break;
    case TRACE_EXEC:
        if (actor != NULL)
            actor->running = true;
        break;
    case TRACE_CHILD:
        add_child(xray, event, task->process);
        break;
    case TRACE_SIGNAL:
        note_signal(xray, event, task->process);
        break;
    case TRACE_END:
        note_end(xray, event, task->process);
        break;
    default:
        break;
    }
}

/* ---- the play -------------------------------------------------------------*/

static void tell_all(const struct xray *xray, int signal) {
    for (size_t i = 0; i < xray->started; i++)
        if (!xray->actors[i].ended)
            (void)kill(xray->actors[i].pid, signal);
}

/* Until something happens, at most so long. Who asks us to end, ends us, and
 * the kernel ends whom we trace; but the command of -c is asked in our place.
 */
static void wait_a_while(const struct xray *xray, int milliseconds) {
    struct pollfd mine = {.fd = xray->signals, .events = POLLIN};
    struct signalfd_siginfo signal;
    if (poll(&mine, 1, milliseconds) <= 0 ||
        read(xray->signals, &signal, sizeof signal) != sizeof signal ||
        signal.ssi_signo == SIGCHLD)
        return;
    if (xray->command == NULL)
        _exit(SIGNALLED + (int)signal.ssi_signo);
    tell_all(xray, (int)signal.ssi_signo);
}

static void kill_all(const struct xray *xray) {
    for (size_t i = 0; i < xray->schedule.count; i++)
        (void)kill(xray->schedule.tasks[i].id, SIGKILL);
}

/* Nobody can go on by himself: who comes next, or is it over? */
static void go_on(struct xray *xray, struct deadline *limit) {
    const struct actor *last = &xray->actors[xray->count - 1];
    if (xray->started < xray->count &&
        (xray->started == 0 || xray->actors[xray->started - 1].ready)) {
        start_actor(xray);
    } else if (last->ended && !xray->over) {
        xray->over = true;
        tell_all(xray, SIGTERM);
        *limit = deadline_after(PARTING_MS);
    } else {
        wait_a_while(xray, deadline_left(*limit));
    }
}

static void play(struct xray *xray, int milliseconds) {
    struct deadline limit = deadline_after(milliseconds);
    struct trace_event event;
    struct schedule_task *task;
    start_actor(xray);
    for (;;) {
        enum schedule_result result =
            schedule_next(&xray->schedule, &event, &task);
        if (xray->wire >= 0)
            read_wire(xray);
        if (result == SCHEDULE_EVENT)
            handle(xray, &event, task);
        else if (result == SCHEDULE_FAILED)
            err(1, "what happened next");
        else if (result == SCHEDULE_OVER && xray->started == xray->count)
            break;
        else if (result == SCHEDULE_BUSY)
            wait_a_while(xray, 1);
        else
            go_on(xray, &limit);
        if (deadline_left(limit) == 0) {
            if (!xray->over)
                xray->cut_off = schedule_now();
            xray->over = true;
            xray->started = xray->count;
            kill_all(xray);
        }
    }
}

/* ---- the picture ----------------------------------------------------------*/

static size_t columns_of(FILE *out) {
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        size.ws_col =
            (unsigned short)(columns == NULL ? WIDEST
                                             : strtoul(columns, NULL, 10));
    return size.ws_col > WIDEST      ? WIDEST
           : size.ws_col < NARROWEST ? NARROWEST
                                     : size.ws_col;
}

static void write_picture(struct xray *xray, const char *path, bool list) {
    FILE *out = path == NULL ? stdout : fopen(path, "we");
    bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (out == NULL)
        err(1, "%s", path);
    if (list) {
        picture_write_list(out, &xray->record.picture);
    } else {
        if (text_draw(out, &xray->record.picture, columns_of(out),
                      unicode ? TEXT_UNICODE : TEXT_ASCII) < 0)
            xray->record.no_memory = true;
        record_write_foot(out, &xray->record, xray->cut_off);
    }
    if (fflush(out) == EOF || (path != NULL && fclose(out) == EOF))
        err(1, "%s", path == NULL ? "standard output" : path);
}

static void write_image(struct xray *xray, const char *path) {
    FILE *out = fopen(path, "we");
    if (out == NULL)
        err(1, "%s", path);
    if (svg_draw(out, &xray->record.picture) < 0)
        xray->record.no_memory = true;
    if (fclose(out) == EOF)
        err(1, "%s", path);
}

static void take_signals(struct xray *xray) {
    sigset_t mine;
    (void)sigemptyset(&mine);
    (void)sigaddset(&mine, SIGCHLD);
    (void)sigaddset(&mine, SIGINT);
    (void)sigaddset(&mine, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &mine, NULL);
    xray->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    xray->nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (xray->signals < 0 || xray->nothing < 0)
        err(1, "signalfd or /dev/null");
}

/* The status that the scene's last actor ended with. */
static int status_of(const struct xray *xray) {
    const struct actor *last = &xray->actors[xray->count - 1];
    return WIFSIGNALED(last->status) ? SIGNALLED + WTERMSIG(last->status)
                                     : WEXITSTATUS(last->status);
}

int main(int argc, char **argv) {
    static struct xray xray;
    const char *image = NULL, *output = NULL;
    bool list = false, command = false;
    int option, milliseconds = TIME_LIMIT_MS;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    while ((option = getopt(argc, argv, "+alcs:o:t:")) != -1) {
        switch (option) {
        case 'a':
            xray.all = true;
            break;
        case 'l':
            list = true;
            break;
        case 'c':
            command = true;
            break;
        case 's':
            image = optarg;
            break;
        case 'o':
            output = optarg;
            break;
        case 't':
            if (deadline_parse(optarg, strlen(optarg), &milliseconds) == 0)
                break;
            errx(2, "not a number of seconds: %s", optarg);
        default:
            usage(stderr, 2);
        }
    }
    if (optind == argc || (!command && optind != argc - 1))
        usage(stderr, 2);
    (void)setlocale(LC_CTYPE, "");
    if (command) {
        xray.command = argv + optind;
        xray.count = 1;
        (void)snprintf(xray.actors[0].name, sizeof xray.actors[0].name,
                       "program");
    } else {
        read_scene(&xray, argv[optind]);
    }
    take_signals(&xray);
    xray.wire = open_wire();
    if (xray.wire < 0)
        warn("no segments will be seen: socket AF_PACKET");
    play(&xray, milliseconds);
    record_finish(&xray.record);
    if (image == NULL || list || output != NULL)
        write_picture(&xray, output, list);
    if (image != NULL)
        write_image(&xray, image);
    if (xray.cut_off > 0)
        warnx("the scene did not end in time, and was ended");
    if (xray.record.no_memory)
        errx(1, "out of memory: not all that happened is shown");
    int status = xray.cut_off > 0 ? TIMED_OUT : status_of(&xray);
    record_free(&xray.record);
    schedule_free(&xray.schedule);
    return status;
}
