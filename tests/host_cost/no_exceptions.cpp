// A host's file that is compiled without exceptions: the facade's headers and the try_ functions do for it.
//
//     no_exceptions MODEL_FOLDER

#include <cstdio>

#include <daguerre/daguerre.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto missing = daguerre::Pipeline::try_load("no such folder");
  if (missing || missing.error().kind != daguerre::ErrorKind::file ||
      missing.error().path != "no such folder")
    return std::puts("a missing folder was loaded, or is told wrongly"), 1;
  const auto pipe = daguerre::Pipeline::try_load(argv[1]);
  if (!pipe) return std::puts(pipe.error().message.c_str()), 1;
  const auto wrong = pipe->try_generate({.prompt = "a lighthouse at dawn", .sampling = {.steps = 0}});
  if (wrong || wrong.error().kind != daguerre::ErrorKind::argument) return std::puts("no steps were made"), 1;
  const auto made = pipe->try_generate({.prompt = "a lighthouse at dawn",
                                        .size = {.width = 16, .height = 16},
                                        .sampling = {.steps = 1, .seed = 42}});
  if (!made) return std::puts(made.error().message.c_str()), 1;
  return made->images.size() == 1 ? 0 : 1;
}
