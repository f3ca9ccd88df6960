/*
 * users: the names and passwords of those who may use a proxy. Built by lesson
 * 33.
 */
#ifndef SOCKS_PROXY_USERS_H
#define SOCKS_PROXY_USERS_H

#include <stdbool.h>

/* Reads the whole file at path, which has a NAME:PASSWORD a line, and 65536
 * bytes at most. Returns its bytes, from malloc(3), with a NUL behind them.
 * They are the caller's. If the file is longer, or cannot be read, the program
 * ends. */
char *users_read(const char *path);

/* Looks whether "NAME:PASSWORD" is one of the lines of users, which users_read
 * has returned. name and password are C strings of at most 255 bytes: RFC 1929.
 * It goes through all lines, also those behind the right one. */
bool users_have(const char *users, const char *name, const char *password);

#endif
