#include "pages/system/system_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace numpool::pages {

std::string read_system_file(const char* path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    std::string text;
    char piece[1024];
    for (;;) {
        const ssize_t count = read(file, piece, sizeof piece);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        text.append(piece, static_cast<std::size_t>(count));
    }
    close(file);
    return text;
}

}  // namespace numpool::pages
