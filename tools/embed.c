/* embed.c - turns text files into a C table `NAME[]` of {name, text, size}, ended by a NULL name.
 *   embed NAME PREFIX FILE... > table.c        names are the paths without PREFIX/ */
#include <stdio.h>
#include <string.h>

static int embed_one(const char *path, int index)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    printf("static const unsigned char text%d[] = {", index);
    int c;
    for (long n = 0; (c = fgetc(f)) != EOF; n++) printf(n % 20 ? "%d," : "\n%d,", c);
    printf("0};\n");
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    size_t prefix = strlen(argv[2]);
    printf("#include \"base/embed.h\"\n");
    for (int i = 3; i < argc; i++)
        if (embed_one(argv[i], i) != 0) return 1;
    printf("const tl_embedded %s[] = {\n", argv[1]);
    for (int i = 3; i < argc; i++)
        printf("    {\"%s\", (const char *)text%d, sizeof text%d - 1},\n", argv[i] + prefix + 1, i, i);
    printf("    {0, 0, 0}};\n");
    return 0;
}
