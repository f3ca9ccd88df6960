/* Includes socket.h first: this does not compile. */
#include "socket.h"

int main(void) {
    return 0;
}
