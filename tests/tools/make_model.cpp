// Writes a model folder of a published model's real size with random weights, to measure with:
//
//     make_model CONFIGS OUT [--tokenizer FOLDER] [--type f32|f16|bf16]
//
// CONFIGS is a folder in diffusers' layout without weights: one of those in tests/tools/models, or the
// configurations of any model that the library knows. Which tensors there are is asked of the networks
// themselves. The tokenizer is that of CLIP, for every tokenizer that the model has.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <daguerre/core/error.hpp>
#include <daguerre/ops/engine.hpp>
#include <daguerre/pipeline/component_registry.hpp>
#include <daguerre/pipeline/family.hpp>
#include <daguerre/pipeline/model.hpp>
#include <daguerre/weights/random_tensors.hpp>

#include "weights/tensor_stream.hpp"

namespace {

namespace fs = std::filesystem;
using namespace daguerre;

struct Arguments {
  fs::path configs, out, tokenizer;
  DType type = DType::f16;
};

DType type_called(const std::string& name) {
  if (name == "f32") return DType::f32;
  if (name == "f16") return DType::f16;
  if (name == "bf16") return DType::bf16;
  throw ArgumentError("make_model", "type \"" + name + "\", expected f32, f16 or bf16");
}

Arguments parsed(int argc, char** argv) {
  Arguments result;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    const auto value = [&] {
      if (++i == argc) throw ArgumentError("make_model", text + " needs a value");
      return std::string(argv[i]);
    };
    if (text == "--tokenizer")
      result.tokenizer = value();
    else if (text == "--type")
      result.type = type_called(value());
    else
      places.push_back(text);
  }
  if (places.size() != 2) throw ArgumentError("make_model", "expected CONFIGS and OUT");
  result.configs = places[0];
  result.out = places[1];
  return result;
}

/// Networks are only asked what they read: nothing is packed.
LoadContext asking() {
  return {.compute = {.engine = ops::make_engine("native"),
                      .threads = Threads(available_threads()),
                      .pool = {},
                      .stop = {},
                      .profile = {},
                      .placement = {}},
          .memory = {.weights = WeightStorage::mapped, .residency = Residency::kept}};
}

void write_weights(const ComponentSource& part, const fs::path& out, DType type) {
  const auto& state = *part.given_weights;
  std::vector<weights::StreamedTensor> tensors;
  for (const auto& name : state.names()) tensors.push_back({name, type, state.shape(name), {{state, name}}});
  const fs::path file =
      out / part.name /
      (part.library == "transformers" ? "model.safetensors" : "diffusion_pytorch_model.safetensors");
  std::printf("%s: %zu tensors, %.2f GB\n", file.string().c_str(), tensors.size(),
              static_cast<double>(weights::data_bytes(tensors)) / 1e9);
  weights::stream_safetensors(file, std::move(tensors), {}, [](std::uint64_t) {});
}

void make(const Arguments& arguments) {
  if (fs::exists(arguments.out)) throw FileError("make_model", arguments.out.string() + " is there already");
  auto source = ModelSource::open_folder(arguments.configs);
  const Family family = FamilyRegistry::standard().of_class(source.class_name(), source.index().source());
  const auto lacks_tokenizer = [&](const Part& part) {
    return !part.tokenizer.empty() && source.find(part.name) &&
           !fs::exists(arguments.configs / part.tokenizer);
  };
  if (arguments.tokenizer.empty() && std::any_of(family.parts.begin(), family.parts.end(), lacks_tokenizer))
    throw ArgumentError("make_model", "this model needs --tokenizer");
  fs::copy(arguments.configs, arguments.out, fs::copy_options::recursive);
  source = ModelSource::open_folder(arguments.out);
  std::vector<ComponentSource> parts;
  for (const auto& part : family.parts) {
    auto component = source.find(part.name);
    if (!component) continue;
    if (!part.tokenizer.empty() && !fs::exists(arguments.out / part.tokenizer))
      fs::copy(arguments.tokenizer, arguments.out / part.tokenizer);
    component->given_weights = weights::StateDict(
        {std::make_shared<const weights::RandomTensors>(parts.size(), arguments.type)}, part.name);
    parts.push_back(*component);
    source = source.with(*component);
  }
  Model::load(source, asking());
  for (const auto& part : parts) write_weights(part, arguments.out, arguments.type);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    make(parsed(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\nusage: make_model CONFIGS OUT [--tokenizer FOLDER] [--type f32|f16|bf16]\n",
                 error.what());
    return 1;
  }
  return 0;
}
