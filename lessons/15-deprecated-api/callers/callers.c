/* Calls socket_ssl four times, from two lines. The function is static, so we
 * include the whole program, and give its main another name. */
#define main main_of_the_program
#include "../deprecated-api.c"
#undef main

int main(void) {
    for (int i = 0; i < 3; i++)
        socket_ssl(-1, NULL, NULL);
    socket_ssl(-1, NULL, NULL);
    return 0;
}
