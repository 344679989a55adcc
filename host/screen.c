// screen.c: text for a terminal: made harmless, measured, cut; and text inside JSON.
// SPDX-License-Identifier: MIT
#include "host/screen.h"

#include <string.h>
#include <time.h>

struct range {
    uint32_t first, last;
};

// Two columns: East Asian width W and F (Unicode 14, EastAsianWidth.txt), gaps closed.
static const struct range wide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x23F0, 0x23F0},   {0x23F3, 0x23F3},   {0x25FD, 0x25FE},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267F, 0x267F},   {0x2693, 0x2693},   {0x26A1, 0x26A1},
    {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x26CE, 0x26CE},
    {0x26D4, 0x26D4},   {0x26EA, 0x26EA},   {0x26F2, 0x26F3},   {0x26F5, 0x26F5},
    {0x26FA, 0x26FA},   {0x26FD, 0x26FD},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x274E, 0x274E},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27B0, 0x27B0},   {0x27BF, 0x27BF},
    {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2B55, 0x2B55},   {0x2E80, 0x3029},
    {0x302E, 0x303E},   {0x3041, 0x3096},   {0x309B, 0x3247},   {0x3250, 0x4DBF},
    {0x4E00, 0xA4C6},   {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAD9},
    {0xFE10, 0xFE19},   {0xFE30, 0xFE6B},   {0xFF01, 0xFF60},   {0xFFE0, 0xFFE6},
    {0x16FE0, 0x16FE3}, {0x16FF0, 0x1B2FB}, {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF},
    {0x1F18E, 0x1F18E}, {0x1F191, 0x1F19A}, {0x1F200, 0x1F320}, {0x1F32D, 0x1F335},
    {0x1F337, 0x1F37C}, {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA}, {0x1F3CF, 0x1F3D3},
    {0x1F3E0, 0x1F3F0}, {0x1F3F4, 0x1F3F4}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440},
    {0x1F442, 0x1F4FC}, {0x1F4FF, 0x1F53D}, {0x1F54B, 0x1F54E}, {0x1F550, 0x1F567},
    {0x1F57A, 0x1F57A}, {0x1F595, 0x1F596}, {0x1F5A4, 0x1F5A4}, {0x1F5FB, 0x1F64F},
    {0x1F680, 0x1F6C5}, {0x1F6CC, 0x1F6CC}, {0x1F6D0, 0x1F6D2}, {0x1F6D5, 0x1F6DF},
    {0x1F6EB, 0x1F6EC}, {0x1F6F4, 0x1F6FC}, {0x1F7E0, 0x1F7F0}, {0x1F90C, 0x1F93A},
    {0x1F93C, 0x1F945}, {0x1F947, 0x1F9FF}, {0x1FA70, 0x1FAF6}, {0x20000, 0x3134A}};

// No column: general category Mn and Me up to U+3100, and joiners. Rarer scripts count as one.
static const struct range zero[] = {
    {0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x5BF, 0x5BF},    {0x5C1, 0x5C2},
    {0x5C4, 0x5C5},   {0x5C7, 0x5C7},   {0x610, 0x61A},   {0x64B, 0x65F},    {0x670, 0x670},
    {0x6D6, 0x6DC},   {0x6DF, 0x6E4},   {0x6E7, 0x6E8},   {0x6EA, 0x6ED},    {0x711, 0x711},
    {0x730, 0x74A},   {0x7A6, 0x7B0},   {0x7EB, 0x7F3},   {0x7FD, 0x7FD},    {0x816, 0x819},
    {0x81B, 0x823},   {0x825, 0x827},   {0x829, 0x82D},   {0x859, 0x85B},    {0x898, 0x89F},
    {0x8CA, 0x8E1},   {0x8E3, 0x902},   {0x93A, 0x93A},   {0x93C, 0x93C},    {0x941, 0x948},
    {0x94D, 0x94D},   {0x951, 0x957},   {0x962, 0x963},   {0x981, 0x981},    {0x9BC, 0x9BC},
    {0x9C1, 0x9C4},   {0x9CD, 0x9CD},   {0x9E2, 0x9E3},   {0x9FE, 0xA02},    {0xA3C, 0xA3C},
    {0xA41, 0xA51},   {0xA70, 0xA71},   {0xA75, 0xA75},   {0xA81, 0xA82},    {0xABC, 0xABC},
    {0xAC1, 0xAC8},   {0xACD, 0xACD},   {0xAE2, 0xAE3},   {0xAFA, 0xB01},    {0xB3C, 0xB3C},
    {0xB3F, 0xB3F},   {0xB41, 0xB44},   {0xB4D, 0xB56},   {0xB62, 0xB63},    {0xB82, 0xB82},
    {0xBC0, 0xBC0},   {0xBCD, 0xBCD},   {0xC00, 0xC00},   {0xC04, 0xC04},    {0xC3C, 0xC3C},
    {0xC3E, 0xC40},   {0xC46, 0xC56},   {0xC62, 0xC63},   {0xC81, 0xC81},    {0xCBC, 0xCBC},
    {0xCBF, 0xCBF},   {0xCC6, 0xCC6},   {0xCCC, 0xCCD},   {0xCE2, 0xCE3},    {0xD00, 0xD01},
    {0xD3B, 0xD3C},   {0xD41, 0xD44},   {0xD4D, 0xD4D},   {0xD62, 0xD63},    {0xD81, 0xD81},
    {0xDCA, 0xDCA},   {0xDD2, 0xDD6},   {0xE31, 0xE31},   {0xE34, 0xE3A},    {0xE47, 0xE4E},
    {0xEB1, 0xEB1},   {0xEB4, 0xEBC},   {0xEC8, 0xECD},   {0xF18, 0xF19},    {0xF35, 0xF35},
    {0xF37, 0xF37},   {0xF39, 0xF39},   {0xF71, 0xF7E},   {0xF80, 0xF84},    {0xF86, 0xF87},
    {0xF8D, 0xFBC},   {0xFC6, 0xFC6},   {0x102D, 0x1030}, {0x1032, 0x1037},  {0x1039, 0x103A},
    {0x103D, 0x103E}, {0x1058, 0x1059}, {0x105E, 0x1060}, {0x1071, 0x1074},  {0x1082, 0x1082},
    {0x1085, 0x1086}, {0x108D, 0x108D}, {0x109D, 0x109D}, {0x1160, 0x11FF},  {0x135D, 0x135F},
    {0x1712, 0x1714}, {0x1732, 0x1733}, {0x1752, 0x1753}, {0x1772, 0x1773},  {0x17B4, 0x17B5},
    {0x17B7, 0x17BD}, {0x17C6, 0x17C6}, {0x17C9, 0x17D3}, {0x17DD, 0x17DD},  {0x180B, 0x180D},
    {0x180F, 0x180F}, {0x1885, 0x1886}, {0x18A9, 0x18A9}, {0x1920, 0x1922},  {0x1927, 0x1928},
    {0x1932, 0x1932}, {0x1939, 0x193B}, {0x1A17, 0x1A18}, {0x1A1B, 0x1A1B},  {0x1A56, 0x1A56},
    {0x1A58, 0x1A60}, {0x1A62, 0x1A62}, {0x1A65, 0x1A6C}, {0x1A73, 0x1A7F},  {0x1AB0, 0x1B03},
    {0x1B34, 0x1B34}, {0x1B36, 0x1B3A}, {0x1B3C, 0x1B3C}, {0x1B42, 0x1B42},  {0x1B6B, 0x1B73},
    {0x1B80, 0x1B81}, {0x1BA2, 0x1BA5}, {0x1BA8, 0x1BA9}, {0x1BAB, 0x1BAD},  {0x1BE6, 0x1BE6},
    {0x1BE8, 0x1BE9}, {0x1BED, 0x1BED}, {0x1BEF, 0x1BF1}, {0x1C2C, 0x1C33},  {0x1C36, 0x1C37},
    {0x1CD0, 0x1CD2}, {0x1CD4, 0x1CE0}, {0x1CE2, 0x1CE8}, {0x1CED, 0x1CED},  {0x1CF4, 0x1CF4},
    {0x1CF8, 0x1CF9}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x2060, 0x2064},  {0x20D0, 0x20F0},
    {0x2CEF, 0x2CF1}, {0x2D7F, 0x2D7F}, {0x2DE0, 0x2DFF}, {0x302A, 0x302D},  {0x3099, 0x309A},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE0FFF}};

static bool is_in(uint32_t c, const struct range *ranges, size_t count)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (c < ranges[middle].first)
            count = middle;
        else if (c > ranges[middle].last)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

size_t ctz_screen_decode(const char *text, size_t size, uint32_t *character)
{
    const unsigned char *u = (const unsigned char *)text;
    if (size == 0)
        return 0;
    *character = u[0];
    if (u[0] < 0x80)
        return 1;
    size_t count = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (u[0] < 0xC2 || u[0] > 0xF4 || size < count)
        return 0;
    uint32_t c = u[0] & (0x7Fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((u[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3F);
    }
    if (c < least[count] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *character = c;
    return count;
}

static unsigned columns_of(uint32_t c)
{
    if (c < 0x300)
        return 1;
    if (is_in(c, zero, CTZ_COUNT(zero)))
        return 0;
    return is_in(c, wide, CTZ_COUNT(wide)) ? 2 : 1;
}

size_t ctz_screen_fit(const char *text, size_t size, size_t columns, size_t *taken)
{
    size_t at = 0, width = 0;
    while (at < size) {
        uint32_t c = 0;
        size_t count = ctz_screen_decode(text + at, size - at, &c);
        unsigned more = count ? columns_of(c) : 1;
        if (width + more > columns)
            break;
        width += more;
        at += count ? count : 1;
    }
    if (taken)
        *taken = width;
    return at;
}

size_t ctz_screen_width(const char *text, size_t size)
{
    size_t width;
    ctz_screen_fit(text, size, SIZE_MAX / 2, &width);
    return width;
}

// Controls of C0 and C1, and those that turn the direction of writing (CVE-2021-42574).
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

static void put_control(uint32_t c, struct ctz_buffer *out)
{
    switch (c) {
    case '\n':
        ctz_buffer_text(out, "\\n");
        break;
    case '\r':
        ctz_buffer_text(out, "\\r");
        break;
    case '\t':
        ctz_buffer_text(out, "\\t");
        break;
    default:
        ctz_buffer_format(out, c < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)c);
    }
}

void ctz_screen_clean(const char *text, size_t size, bool keep_lines, struct ctz_buffer *out)
{
    for (size_t at = 0, count; at < size; at += count) {
        uint32_t c = 0;
        count = ctz_screen_decode(text + at, size - at, &c);
        if (count == 0) {
            ctz_buffer_format(out, "\\x%02x", (unsigned char)text[at]);
            count = 1;
        } else if (keep_lines && (c == '\n' || c == '\t')) {
            ctz_buffer_byte(out, (char)c);
        } else if (is_control(c)) {
            put_control(c, out);
        } else {
            ctz_buffer_append(out, text + at, count);
        }
    }
}

void ctz_screen_json(const char *text, size_t size, struct ctz_buffer *out)
{
    ctz_buffer_byte(out, '"');
    for (size_t at = 0, count; at < size; at += count) {
        uint32_t c = 0;
        count = ctz_screen_decode(text + at, size - at, &c);
        if (count == 0) {
            ctz_buffer_text(out, "\\ufffd");
            count = 1;
        } else if (c == '"' || c == '\\') {
            ctz_buffer_byte(out, '\\');
            ctz_buffer_byte(out, (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            put_control(c, out);
        } else if (is_control(c)) {
            ctz_buffer_format(out, "\\u%04x", (unsigned)c);
        } else {
            ctz_buffer_append(out, text + at, count);
        }
    }
    ctz_buffer_byte(out, '"');
}

// --- numbers -----------------------------------------------------------------------------------

void ctz_screen_bytes(double bytes, struct ctz_buffer *out)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    for (; bytes >= 999.5 && unit + 1 < CTZ_COUNT(units); unit++)
        bytes /= 1000;
    ctz_buffer_format(out, unit == 0 || bytes >= 99.95 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void ctz_screen_duration(double seconds, struct ctz_buffer *out)
{
    if (seconds < 0.9995) {
        ctz_buffer_format(out, "%.0f ms", seconds * 1000);
    } else if (seconds < 9.95) {
        ctz_buffer_format(out, "%.1f s", seconds);
    } else if (seconds < 59.5) {
        ctz_buffer_format(out, "%.0f s", seconds);
    } else if (seconds < 86400.0 * 36500) {
        uint64_t s = (uint64_t)(seconds + 0.5);
        if (s < 3600)
            ctz_buffer_format(out, "%d min %d s", (int)(s / 60), (int)(s % 60));
        else if (s < 86400)
            ctz_buffer_format(out, "%d h %d min", (int)(s / 3600), (int)(s % 3600 / 60));
        else
            ctz_buffer_format(out, "%d d %d h", (int)(s / 86400), (int)(s % 86400 / 3600));
    } else {
        ctz_buffer_text(out, "ages");
    }
}

void ctz_screen_time(bool with_date, struct ctz_buffer *out)
{
    struct timespec now;
    struct tm parts;
    char text[32];
    clock_gettime(CLOCK_REALTIME, &now);
    if (with_date)
        gmtime_r(&now.tv_sec, &parts);
    else
        localtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof text, with_date ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &parts);
    ctz_buffer_format(out, "%s.%03d%s", text, (int)(now.tv_nsec / 1000000), with_date ? "Z" : "");
}
