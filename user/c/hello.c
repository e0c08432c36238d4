/*
 * An ordinary C program, linked once with musl and once with glibc. It prints
 * what it got from the kernel and checks what every C library relies on: the
 * initial stack, %gs as thread pointer, errno, floating point. A test looks for
 * each line. The status is 0, or 1 after a line "FAIL ...".
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifdef __GLIBC__
#define LIBC "glibc"
#else
#define LIBC "musl"
#endif

static __thread int tls_data = 41; /* .tdata: copied from the file */
static __thread int tls_bss[4];    /* .tbss: zeroed */
static int failed;

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("FAIL %s\n", what);
        failed = 1;
    }
}

/* On i386 the word at %gs:0 is the thread pointer itself. */
static void *thread_pointer(void)
{
    void *tp;
    __asm__("movl %%gs:0, %0" : "=r"(tp));
    return tp;
}

int main(int argc, char **argv, char **envp)
{
    int i, words = 0;
    unsigned short gs;
    volatile double seven = 7.0;

    printf("hello from %s\n", LIBC);

    printf("argc %d:", argc);
    for (i = 0; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\n");
    check(argv[argc] == NULL, "argv ends with NULL");

    while (envp[words])
        words++;
    printf("envp has %d strings\n", words);
    for (i = 0; i < words; i++)
        check(strchr(envp[i], '=') != NULL, "each envp string is NAME=value");

    printf("auxv: page size %lu, phnum %lu\n", getauxval(AT_PAGESZ), getauxval(AT_PHNUM));
    check(getauxval(AT_PAGESZ) == 4096, "AT_PAGESZ is 4096");
    check(getauxval(AT_PHENT) == sizeof(Elf32_Phdr), "AT_PHENT is 32");
    check(getauxval(AT_PHDR) != 0, "AT_PHDR is there");
    check(getauxval(AT_ENTRY) != 0, "AT_ENTRY is there");
    check(getauxval(AT_RANDOM) != 0, "AT_RANDOM is there");

    __asm__("movw %%gs, %0" : "=r"(gs));
    printf("gs 0x%x\n", gs);
    check((gs & 7) == 3, "gs is a GDT selector of ring 3");
    check(*(void **)thread_pointer() == thread_pointer(), "%gs:0 points to itself");

    check(tls_data == 41 && tls_bss[0] == 0 && tls_bss[3] == 0, "TLS starts as the file says");
    tls_data++;
    printf("tls %d\n", tls_data);

    printf("sqrt(2) = %.6f, 22/7 = %.3f\n", sqrt(2.0 * seven / 7.0), 22.0 / seven);

    errno = 0;
    check(open("/no/such/file", O_RDONLY) == -1, "open of a missing file fails");
    printf("errno %d: %s\n", errno, strerror(errno));
    check(errno == ENOENT, "errno is ENOENT");

    printf("%s\n", failed ? "bye, with failures" : "bye");
    return failed;
}
