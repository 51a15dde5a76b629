#include <stddef.h>

#include "coord/regex_int.h"

void regex_set_add(struct regex_set *set, uint32_t first, uint32_t last) {
    for (uint32_t c = first; c <= last && c < 128; c++) {
        set->bits[c / 64] |= 1ull << c % 64;
    }
}

void regex_set_add_set(struct regex_set *set, struct regex_set other) {
    set->bits[0] |= other.bits[0];
    set->bits[1] |= other.bits[1];
}

void regex_set_negate(struct regex_set *set) {
    set->bits[0] = ~set->bits[0];
    set->bits[1] = ~set->bits[1];
}

void regex_set_add_folded(struct regex_set *set, uint32_t first, uint32_t last) {
    regex_set_add(set, first, last);
    for (uint32_t c = 'A'; c <= 'Z'; c++) {
        uint32_t small = c + ('a' - 'A');
        if ((first <= c && c <= last) || (first <= small && small <= last)) {
            regex_set_add(set, c, c);
            regex_set_add(set, small, small);
        }
    }
    static const struct {
        uint32_t far; /* has two cases in ASCII */
        uint32_t near;
    } folds[] = {{0x212a, 'K'}, {0x17f, 'S'}};
    for (size_t i = 0; i < sizeof folds / sizeof folds[0]; i++) {
        if (first <= folds[i].far && folds[i].far <= last) {
            regex_set_add_folded(set, folds[i].near, folds[i].near);
        }
    }
}

/* Pairs of first and last, in ASCII. */
struct named_class {
    struct str name;
    const char *pairs;
    size_t pairs_size; /* \0 may be among them */
    const char *fold;  /* pairs that come with letter case as one, where that is more */
};

#define CLASS(name, pairs)                                                                         \
    { {(name), sizeof(name) - 1}, (pairs), sizeof(pairs) - 1, "" }
#define CLASS_FOLD(name, pairs, fold)                                                              \
    { {(name), sizeof(name) - 1}, (pairs), sizeof(pairs) - 1, fold }

static const struct named_class posix_classes[] = {
    CLASS("alnum", "09AZaz"),   CLASS("alpha", "AZaz"),           CLASS("ascii", "\0\177"),
    CLASS("blank", "\t\t  "),   CLASS("cntrl", "\0\037\177\177"), CLASS("digit", "09"),
    CLASS("graph", "!~"),       CLASS_FOLD("lower", "az", "AZ"),  CLASS("print", " ~"),
    CLASS("punct", "!/:@[`{~"), CLASS("space", "\t\r  "),         CLASS_FOLD("upper", "AZ", "az"),
    CLASS("word", "09AZ__az"),  CLASS("xdigit", "09AFaf"),        {{NULL, 0}, NULL, 0, NULL},
};

static const struct named_class perl_classes[] = {
    CLASS("d", "09"),
    CLASS("s", "\t\n\f\r  "),
    CLASS("w", "09AZ__az"),
    {{NULL, 0}, NULL, 0, NULL},
};

/* General categories, and scripts. Of \p{Ll} RE2/J takes only these two for cases of others. */
static const struct named_class unicode_classes[] = {
    CLASS("Any", "\0\177"),
    CLASS_FOLD("Lu", "AZ", "az"),
    CLASS_FOLD("Ll", "az", "KKSS"),
    CLASS("L", "AZaz"),
    CLASS("Nd", "09"),
    CLASS("N", "09"),
    CLASS("Pc", "__"),
    CLASS("Pd", "--"),
    CLASS("Ps", "(([[{{"),
    CLASS("Pe", "))]]}}"),
    CLASS("Po", "!#%'**,,./:;?@\\\\"),
    CLASS("P", "!#%*,/:;?@[]__{{}}"),
    CLASS("Sm", "++<>||~~"),
    CLASS("Sc", "$$"),
    CLASS("Sk", "^^``"),
    CLASS("S", "$$++<>^^``||~~"),
    CLASS("Zs", "  "),
    CLASS("Z", "  "),
    CLASS("Cc", "\0\037\177\177"),
    CLASS("C", "\0\037\177\177"),
    CLASS("Common", "\0@[`{\177"),
    CLASS("Latin", "AZaz"),
    {{NULL, 0}, NULL, 0, NULL},
};

/* Categories and scripts that have nothing in ASCII, each followed by a space. */
static const char unicode_elsewhere[] =
    "Lt Lm Lo Mn Me Mc Nl No Zl Zp Cf Co Cs So Pi Pf M "
    "Inherited Bamum Arabic Lisu Armenian Bengali Old_South_Arabian Bopomofo Cherokee Coptic "
    "Cyrillic Deseret Devanagari Ethiopic Georgian Gothic Greek Gujarati Gurmukhi Han Hangul "
    "Hebrew Hiragana Kannada Katakana Khmer Lao Malayalam Mongolian Myanmar Ogham Old_Italic "
    "Oriya Runic Sinhala Syriac Tamil Telugu Thaana Thai Tibetan Canadian_Aboriginal Yi Tagalog "
    "Hanunoo Buhid Tagbanwa Braille Cypriot Limbu Linear_B Osmanya Shavian Tai_Le Ugaritic "
    "Buginese Glagolitic Kharoshthi Syloti_Nagri New_Tai_Lue Tifinagh Old_Persian Balinese Batak "
    "Brahmi Cham Egyptian_Hieroglyphs Javanese Kayah_Li Lepcha Mandaic Nko Old_Turkic Phags_Pa "
    "Phoenician Vai Cuneiform Unknown Carian Tai_Tham Lycian Lydian Ol_Chiki Rejang Saurashtra "
    "Sundanese Meetei_Mayek Imperial_Aramaic Avestan Kaithi Inscriptional_Pahlavi "
    "Inscriptional_Parthian Samaritan Tai_Viet ";

static void add_pairs(struct regex_set *set, const char *pairs, size_t size) {
    for (size_t i = 0; i + 1 < size; i += 2) {
        regex_set_add(set, (uint8_t)pairs[i], (uint8_t)pairs[i + 1]);
    }
}

static bool find(const struct named_class *classes, struct str name, bool fold,
                 struct regex_set *ret_set) {
    for (; classes->name.data != NULL; classes++) {
        if (str_equal(classes->name, name)) {
            *ret_set = (struct regex_set){0};
            add_pairs(ret_set, classes->pairs, classes->pairs_size);
            if (fold) {
                add_pairs(ret_set, classes->fold, strlen(classes->fold));
            }
            return true;
        }
    }
    return false;
}

bool regex_class_perl(char name, bool fold, struct regex_set *ret_set) {
    char small = name >= 'A' && name <= 'Z' ? (char)(name - 'A' + 'a') : name;
    if (!find(perl_classes, (struct str){&small, 1}, fold, ret_set)) {
        return false;
    }
    if (small != name) {
        regex_set_negate(ret_set);
    }
    return true;
}

static bool take_caret(struct str *name) {
    if (name->size == 0 || name->data[0] != '^') {
        return false;
    }
    *name = (struct str){name->data + 1, name->size - 1};
    return true;
}

bool regex_class_posix(struct str name, bool fold, struct regex_set *ret_set) {
    bool negate = take_caret(&name);
    if (!find(posix_classes, name, fold, ret_set)) {
        return false;
    }
    if (negate) {
        regex_set_negate(ret_set);
    }
    return true;
}

static bool is_elsewhere(struct str name) {
    const char *at = unicode_elsewhere;
    while (*at != '\0') {
        size_t size = strcspn(at, " ");
        if (str_equal((struct str){at, size}, name)) {
            return true;
        }
        at += size + 1;
    }
    return false;
}

bool regex_class_unicode(struct str name, bool fold, struct regex_set *ret_set) {
    bool negate = take_caret(&name);
    if (!find(unicode_classes, name, fold, ret_set)) {
        if (!is_elsewhere(name)) {
            return false;
        }
        *ret_set = (struct regex_set){0};
    }
    if (negate) {
        regex_set_negate(ret_set);
    }
    return true;
}
