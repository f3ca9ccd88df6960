/* Two headers without guards that include each other: this does not compile. */
#include "socket.h"

int main(void) {
    return 0;
}
