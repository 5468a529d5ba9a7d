#include "daguerre/pipeline/model_source.hpp"

#include <fstream>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/model_copy.hpp"

using namespace daguerre;
using test::expect_error;
using test::ModelCopy;
namespace fs = std::filesystem;

namespace {

/// What is said of a path that is no model.
void refused(const fs::path& path, std::initializer_list<std::string_view> parts) {
  expect_error<FileError>([&] { ModelSource::open_folder(path); }, parts);
}

}  // namespace

TEST_CASE("an index names the parts of a model", "[pipeline][model_folder]") {
  const ModelCopy model("sd1");
  const auto folder = ModelSource::open_folder(model.path());
  CHECK(folder.class_name() == "StableDiffusionPipeline");
  const auto unet = folder.part("unet", {"UNet2DConditionModel"});
  CHECK(unet.library == "diffusers");
  CHECK(unet.folder == model / "unet");
  CHECK_FALSE(unet.in_root);
  CHECK(folder.find("safety_checker") == std::nullopt);  // [null, null]
  CHECK(folder.find("nothing") == std::nullopt);
  expect_error<ConfigError>(
      [&] {
        folder.part("vae", {"AutoencoderTiny", "VQModel"});
      },
      {"model_index.json", "\"AutoencoderKL\" of \"vae\"", "AutoencoderTiny, VQModel"});
  expect_error<ConfigError>([&] { folder.part("image_encoder"); },
                            {"model_index.json", "no \"image_encoder\"", "StableDiffusionPipeline needs"});
}

TEST_CASE("entries of an index may be null, and are otherwise a library and a class",
          "[pipeline][model_folder]") {
  const ModelCopy model("sd1");
  for (const auto& nothing : {nlohmann::json(), nlohmann::json::array({nullptr, nullptr}),
                              nlohmann::json::array({"diffusers", nullptr})}) {
    model.set("model_index.json", {{"vae", nothing}});
    CHECK(ModelSource::open_folder(model.path()).find("vae") == std::nullopt);
  }
  for (const auto& wrong :
       {nlohmann::json::array({"diffusers"}), nlohmann::json::array({1, 2}), nlohmann::json::object(),
        nlohmann::json("AutoencoderKL"), nlohmann::json::array({"", "AutoencoderKL"}),
        nlohmann::json::array({"diffusers", "AutoencoderKL", "x"})}) {
    INFO(wrong.dump());
    model.set("model_index.json", {{"vae", wrong}});
    expect_error<ConfigError>([&] { ModelSource::open_folder(model.path()).find("vae"); },
                              {"model_index.json", "\"vae\" must be"});
  }
  // A part of the model's own code.
  model.set("model_index.json", {{"vae", {"my_autoencoder", "AutoencoderKL"}}});
  expect_error<ConfigError>([&] { ModelSource::open_folder(model.path()).part("vae"); },
                            {"\"my_autoencoder\"", "supported are diffusers and transformers"});
}

TEST_CASE("a pipeline's class must be named, and not be code of the model's own",
          "[pipeline][model_folder]") {
  const ModelCopy model("sd1");
  model.set("model_index.json", {{"_class_name", {"my_pipeline", "MyPipeline"}}});
  expect_error<ConfigError>([&] { ModelSource::open_folder(model.path()); },
                            {"my_pipeline", "which is not run"});
  model.set("model_index.json", {{"_class_name", nullptr}});
  expect_error<ConfigError>([&] { ModelSource::open_folder(model.path()); },
                            {"\"_class_name\"", "is missing"});
  model.edit("model_index.json", [](nlohmann::json& index) { index.erase("_class_name"); });
  expect_error<ConfigError>([&] { ModelSource::open_folder(model.path()); },
                            {"\"_class_name\"", "is missing"});
}

TEST_CASE("a part's class is the index's, whatever its own files say", "[pipeline][model_folder]") {
  const ModelCopy model("sd1");
  const auto class_of = [&](const char* part) {
    return ModelSource::open_folder(model.path()).part(part).config().class_name();
  };
  model.edit("unet/config.json", [](nlohmann::json& config) { config.erase("_class_name"); });
  CHECK(class_of("unet") == "UNet2DConditionModel");
  model.set("vae/config.json", {{"_class_name", nullptr}});
  CHECK(class_of("vae") == "AutoencoderKL");
  model.set("text_encoder/config.json", {{"architectures", {"CLIPModel"}}});
  CHECK(class_of("text_encoder") == "CLIPTextModel");
  model.set("text_encoder/config.json", {{"architectures", nullptr}});
  CHECK(class_of("text_encoder") == "CLIPTextModel");
  model.set("unet/config.json", {{"_class_name", 7}});
  expect_error<ConfigError>([&] { class_of("unet"); }, {"unet/config.json", "\"_class_name\""});
}

TEST_CASE("a part without a folder of its name lies beside the index", "[pipeline][model_folder]") {
  const ModelCopy model("ddpm");
  model.move("unet/config.json", "config.json");
  model.remove("unet");
  const auto part = ModelSource::open_folder(model.path()).part("unet");
  CHECK(part.in_root);
  CHECK(part.folder == model.path());
  CHECK(part.config().class_name() == "UNet2DModel");

  SECTION("a configuration without a class is taken for it") {
    model.edit("config.json", [](nlohmann::json& config) { config.erase("_class_name"); });
    CHECK(ModelSource::open_folder(model.path()).part("unet").config().class_name() == "UNet2DModel");
  }
  SECTION("one of another part's class is not") {
    model.set("config.json", {{"_class_name", "AutoencoderKL"}});
    expect_error<ConfigError>([&] { part.config(); },
                              {"no folder \"unet\"", "\"AutoencoderKL\", not of the UNet2DModel"});
  }
  SECTION("there may be none") {
    model.remove("config.json");
    expect_error<FileError>([&] { part.config(); }, {"no folder \"unet\"", "no config.json beside"});
  }
}

TEST_CASE("what is no model folder is told what to do", "[pipeline][model_folder]") {
  const ModelCopy model("sd1");
  refused("runwayml/stable-diffusion-v1-5",
          {"runwayml/stable-diffusion-v1-5 is not a folder", "nothing is downloaded", "hf download"});
  refused("https://host/owner/name", {"nothing is downloaded"});
  refused("/no/such/place/at/all", {"is not a folder", "no such path"});
  refused(model / "model_index.json", {"give the folder it lies in, " + model.path().string()});

  const auto part = model / "unet/diffusion_pytorch_model.safetensors";
  refused(part, {"a single checkpoint file", "a diffusers folder is needed",
                 "part of the model folder " + model.path().string() + ": give that", "from_single_file"});
  refused(model / "unet", {"no model_index.json", "part of the model folder " + model.path().string()});
  refused(model / "tokenizer/merges.txt", {"is not a folder", "expected a model folder"});

  const test::TempFolder elsewhere;
  const auto checkpoint = elsewhere.write("x/v1-5-pruned.ckpt", "PK");
  refused(checkpoint, {"v1-5-pruned.ckpt is a single checkpoint file", "from_single_file(\"FILE\")"});
  refused(checkpoint.parent_path(), {"no model_index.json", "v1-5-pruned.ckpt in it is a single checkpoint"});
  elsewhere.write("y/sd15/model_index.json", "{}");
  refused(elsewhere / "y", {"no model_index.json", "there is one in its folder sd15"});
  refused(elsewhere.path(), {"no model_index.json"});
}

TEST_CASE("a model is called as its folder, however the path is written", "[pipeline][model_folder]") {
  const test::TempFolder folder;
  const auto model = folder.path() / "deep" / "sd15";
  fs::create_directories(model / "unet");
  const std::string text = model.string();
  for (const auto* ending : {"", "/", "//", "/.", "/./", "/././/", "/unet/..", "/unet/../", "/unet/../."})
    CHECK(model_name(text + ending) == "sd15");
  CHECK(model_name(folder.path() / "deep" / ".." / "deep" / "sd15") == "sd15");

  fs::create_directory_symlink(model, folder.path() / "favourite");
  CHECK(model_name(folder.path() / "favourite") == "favourite");
  CHECK(model_name((folder.path() / "favourite").string() + "/") == "favourite");
  // The parent of what a link leads to, not of the link.
  CHECK(model_name(folder.path() / "favourite" / "..") == "deep");

  const auto here = fs::current_path();
  fs::current_path(model);
  const std::string as_dot = model_name("."), as_slash = model_name("./"), as_up = model_name("..");
  fs::current_path(here);
  CHECK(as_dot == "sd15");
  CHECK(as_slash == "sd15");
  CHECK(as_up == "deep");

  CHECK(model_name("/cache/hub/models--stable-diffusion-v1-5--sd15/snapshots/451f4fe16113bff5a5d2/") ==
        "sd15");
  CHECK(model_name("snapshots/451f4fe1") == "451f4fe1");
  CHECK(model_name("/").empty());
}
