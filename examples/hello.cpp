// The smallest host: load a model folder, make one picture, save it.
//
//     hello MODEL_FOLDER [PROMPT]

#include <cstdio>

#include <daguerre/daguerre.hpp>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER [PROMPT]\n", argv[0]);
    return 2;
  }
  try {
    const auto pipe = daguerre::Pipeline::load(argv[1]);
    const auto made = pipe.generate({
        .prompt = argc > 2 ? argv[2] : "a lighthouse at dawn",
        .sampling = {.steps = 20, .seed = 42},
        .on_step =
            [](const daguerre::Step& step) {
              std::printf("step %d of %d\n", step.index + 1, step.total);
              return true;  // false would stop the run
            },
    });
    made.save_png("hello.png");
    std::puts("hello.png");
  } catch (const daguerre::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
