/*
 * Prints its arguments, one a line, each byte that is no letter as a number; then what a shell that it
 * starts by name says, and its environment. Ends with 42.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv)
{
    int i;
    const unsigned char *at;

    for (i = 0; i < argc; i++) {
        printf("argument %d: [", i);
        for (at = (const unsigned char *)argv[i]; *at; at++) {
            if (isalnum(*at))
                putchar(*at);
            else
                printf("<%02x>", *at);
        }
        printf("]\n");
    }
    for (i = 0; environ[i]; i++)
        printf("environment: %s\n", environ[i]);
    fflush(stdout);
    if (system("ls -d /bin | sed s/bin/found/") != 0)
        return 1;
    return 42;
}
