// Ends with status 0 when a file holds JSON with something at each of the pointers (RFC 6901) that follow.
//
//     json_has FILE POINTER...

#include <cstdio>
#include <exception>
#include <fstream>

#include <nlohmann/json.hpp>

int main(int argc, char** argv) {
  try {
    std::ifstream file(argc > 1 ? argv[1] : "");
    const auto json = nlohmann::json::parse(file);
    int status = 0;
    for (int i = 2; i < argc; ++i)
      if (!json.contains(nlohmann::json::json_pointer(argv[i]))) {
        std::fprintf(stderr, "json_has: nothing at %s\n", argv[i]);
        status = 1;
      }
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "json_has: %s\n", error.what());
    return 1;
  }
}
