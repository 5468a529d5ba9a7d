// What every consumer project builds: a picture from a tiny model, and an error caught from the library.
//
//     consumer MODEL_FOLDER

#include <cstdio>
#include <string>

#include <daguerre/daguerre.hpp>
#ifdef CONSUMER_USES_EIGEN
#include <daguerre/core/eigen.hpp>
#endif

namespace {

int fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return fail("usage: consumer MODEL_FOLDER");
  const std::string headers = std::to_string(DAGUERRE_VERSION_MAJOR) + "." +
                              std::to_string(DAGUERRE_VERSION_MINOR) + "." +
                              std::to_string(DAGUERRE_VERSION_PATCH);
  if (headers != daguerre::version())
    return fail("headers of " + headers + ", library of " + daguerre::version());

  try {
    static_cast<void>(daguerre::Pipeline::load("no such folder"));
    return fail("a missing folder was loaded");
  } catch (const daguerre::FileError&) {
  }

#ifdef CONSUMER_USES_EIGEN
  daguerre::Tensor<float> tensor({2, 3});
  daguerre::array(tensor) = 1.0f;
  if (daguerre::matrix(tensor).sum() != 6.0f) return fail("the Eigen map is wrong");
#endif

  try {
    const auto pipe = daguerre::Pipeline::load(argv[1]);
    const auto made = pipe.generate({.prompt = "a lighthouse at dawn",
                                     .size = {.width = 64, .height = 128},
                                     .sampling = {.steps = 2, .seed = 42}});
    if (made.images.size() != 1) return fail("expected one picture");
    const daguerre::Image picture = daguerre::Image::decode(made.images[0].encode_png());
    if (picture.width() != 64 || picture.height() != 128 || picture.channels() != 3) {
      return fail("the picture is " + std::to_string(picture.width()) + " x " +
                  std::to_string(picture.height()));
    }
  } catch (const daguerre::Error& error) {
    return fail(error.what());
  }
}
