/*
 * tell-netstring: what the parser of lesson 05's solution says of each CASE.
 *
 *     tell-netstring CASE...
 *
 * Prints a line for each CASE: the verdict and, for a whole netstring, the
 * length of its message and of the netstring itself.
 */
int solution_main(int argc, char **argv);

#define main solution_main
#include "../../lessons/05-byte-streams/solution.c" // NOLINT: its parser
#undef main

int main(int argc, char **argv) {
    static const char *const names[] = {"WHOLE", "NOT_YET", "WRONG_LENGTH",
                                        "NO_COMMA"};
    for (int i = 1; i < argc; i++) {
        struct netstring found = {0};
        enum verdict verdict =
            parse_netstring(argv[i], strlen(argv[i]), &found);
        (void)printf("%s", names[verdict]);
        if (verdict == WHOLE)
            (void)printf(" %zu %zu", found.length, found.taken);
        (void)putchar('\n');
    }
    return fflush(stdout) == EOF ? 1 : 0;
}
