/* comma.c - examples/predict.c in a program that follows the user's locale, as desktop programs do: in half of the world its numbers
 * have a comma. Exit status 77 where the system has no such locale. */
#define main predict_main
#include "../examples/predict.c"
#undef main

#include <locale.h>

int main(int argc, char **argv)
{
    if (!setlocale(LC_ALL, "") || localeconv()->decimal_point[0] != ',') return 77;
    return predict_main(argc, argv);
}
