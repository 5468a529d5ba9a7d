// Which file an error is about, from each of the readers; and the same errors as values.
#include <fstream>
#include <new>

#include "daguerre/config/config.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

/// The error of that kind that `load`, of a model, ends with.
Failure failure_of(const fs::path& path) {
  const auto loaded = Pipeline::try_load(path, {.precision = Precision::float32, .threads = 1});
  REQUIRE_FALSE(loaded);
  // The exception says the same.
  try {
    (void)Pipeline::load(path, {.precision = Precision::float32, .threads = 1});
    FAIL("it was loaded");
  } catch (const Error& error) {
    CHECK(error.who() == loaded.error().who);
    CHECK(error.message() == loaded.error().message);
    CHECK(error.path() == loaded.error().path);
  }
  return loaded.error();
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

}  // namespace

TEST_CASE("an error says which file it is about", "[pipeline][error]") {
  const TempFolder folder;
  const auto model = folder.path() / "model";
  fs::copy(golden("pipelines/sd1"), model, fs::copy_options::recursive);
  const auto weights = [&](const char* part) {
    for (const auto& entry : fs::directory_iterator(model / part))
      if (entry.path().extension() == ".safetensors") return entry.path();
    return fs::path();
  };
  const auto expect = [&](ErrorKind kind, const fs::path& path) {
    const auto failure = failure_of(model);
    INFO(failure.message);
    CHECK(failure.kind == kind);
    CHECK(failure.path == path);
  };
  SECTION("no model") {
    CHECK(failure_of(folder.path() / "nowhere").path == folder.path() / "nowhere");
    CHECK(failure_of(folder.path() / "nowhere").kind == ErrorKind::file);
  }
  SECTION("the index") {
    write(model / "model_index.json", "{");
    expect(ErrorKind::format, model / "model_index.json");
    write(model / "model_index.json", R"({"_class_name": "KandinskyPipeline"})");
    expect(ErrorKind::config, model / "model_index.json");
  }
  SECTION("a configuration") {
    const auto right = Config::load(model / "unet/config.json");
    for (const auto* wrong : {R"({"sample_size": "large"})",   // found by the reader
                              R"({"unheard_of": 1})",          // by the network's configuration
                              R"({"norm_num_groups": 999})"})  // by a layer
    {
      write(model / "unet/config.json", right.with(wrong).dump());
      expect(ErrorKind::config, model / "unet/config.json");
    }
    fs::remove(model / "vae/config.json");
    expect(ErrorKind::file, model / "vae/config.json");
  }
  SECTION("the scheduler") {
    write(model / "scheduler/scheduler_config.json",
          R"({"_class_name": "PNDMScheduler", "beta_schedule": "none such"})");
    expect(ErrorKind::config, model / "scheduler/scheduler_config.json");
  }
  SECTION("the tokenizer") {
    write(model / "tokenizer/merges.txt", "#version: 0.2\nno merge at all\n");
    expect(ErrorKind::format, model / "tokenizer/merges.txt");
    write(model / "tokenizer/vocab.json", "[]");
    expect(ErrorKind::format, model / "tokenizer/vocab.json");
  }
  SECTION("weights") {
    const auto file = weights("unet");
    fs::copy_file(weights("vae"), file, fs::copy_options::overwrite_existing);
    expect(ErrorKind::weights, file);
    write(file, "short");
    expect(ErrorKind::format, file);
    fs::remove(file);
    expect(ErrorKind::file, model / "unet");
  }
  SECTION("a picture") {
    const auto picture = folder.path() / "picture.png";
    const auto missing = Image::try_load(picture);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().kind == ErrorKind::file);
    CHECK(missing.error().path == picture);
    write(picture, "no picture");
    const auto wrong = Image::try_load(picture);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().kind == ErrorKind::format);
    CHECK(wrong.error().path == picture);
    const auto in_memory = Image::try_decode({});
    REQUIRE_FALSE(in_memory);
    CHECK(in_memory.error().path.empty());
    Image(3, 2, 3).save_png(picture);
    const auto right = Image::try_load(picture);
    REQUIRE(right);
    CHECK(right->width() == 3);
  }
  SECTION("nothing that is a file") {
    try {
      (void)Config::parse(R"({"a": "text"})", "not a file").get("a", 1);
      FAIL("a text was read as a number");
    } catch (const ConfigError& error) {
      CHECK(error.path().empty());
    }
  }
}

TEST_CASE("the try_ functions let no exception through", "[pipeline][error]") {
  const auto folder = golden("pipelines/sd1");
  const LoadOptions options{.precision = Precision::float32, .threads = 1};
  static_assert(noexcept(Pipeline::try_load(folder, options)));
  const auto pipe = Pipeline::try_load(folder, options);
  REQUIRE(pipe);
  Request request{.prompt = "a cat",
                  .size = {.width = 16, .height = 16},
                  .sampling = {.steps = 2, .seed = 7, .sampler = "ddim"}};
  static_assert(noexcept(pipe->try_generate(request)));
  const auto made = pipe->try_generate(request);
  REQUIRE(made);
  CHECK(made->images.size() == 1);
  CHECK(made->latents.shape() == pipe->generate(request).latents.shape());

  const auto kind_of = [&] {
    const auto result = pipe->try_generate(request);
    REQUIRE_FALSE(result);
    return result.error().kind;
  };
  request.on_step = [](const Step&) { return false; };
  CHECK(kind_of() == ErrorKind::cancelled);
  request.on_step = [](const Step&) -> bool { throw std::runtime_error("from the host"); };
  CHECK(kind_of() == ErrorKind::other);
  request.on_step = [](const Step&) -> bool { throw 3; };
  CHECK(kind_of() == ErrorKind::other);
  request.on_step = [](const Step&) -> bool { throw std::bad_alloc(); };
  CHECK(kind_of() == ErrorKind::memory);
  request.on_step = {};
  request.sampling.steps = 0;
  CHECK(kind_of() == ErrorKind::argument);
  CHECK(Pipeline::try_load(folder, {.on_part = [](std::string_view, int, int) { throw 3; }}).error().kind ==
        ErrorKind::other);
  CHECK(Pipeline::try_load(folder, {.engine = "none such"}).error().kind == ErrorKind::argument);
}
