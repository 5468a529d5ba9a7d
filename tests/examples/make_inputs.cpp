// Makes what the tests of the programs feed them: model folders with one defect each, masks, latents,
// language models.
//
//     make_inputs truncated|missing-tensor|wrong-shape|nan|unknown-scheduler MODEL TARGET
//     make_inputs lora MODEL TARGET
//     make_inputs mask|latents TARGET
//     make_inputs language|endless-language|untold-language ANSWER TARGET

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <daguerre/core/random.hpp>
#include <daguerre/media/image.hpp>
#include <daguerre/weights/safetensors.hpp>

#include "support/scripted_language_model.hpp"

namespace {

namespace fs = std::filesystem;
using namespace daguerre;

constexpr const char* victim = "conv_in.weight";

/// Writes the weights of the U-Net anew, `victim` as `change` makes it; left out when that is empty.
template <class Change>
void rewrite_unet(const fs::path& model, Change&& change) {
  const auto path = model / "unet" / "diffusion_pytorch_model.safetensors";
  weights::SafetensorsWriter writer;
  const auto file = weights::SafetensorsFile::open(path);
  for (const auto& info : file.tensors()) {
    auto tensor = file.read<float>(info.name);
    if (info.name == victim) tensor = change(tensor);
    if (!tensor.empty()) writer.add(info.name, tensor);
  }
  writer.save(path);
}

/// In the index, which is what counts, and in the scheduler's own file.
void name_unknown_scheduler(const fs::path& model) {
  for (const auto& path : {model / "model_index.json", model / "scheduler" / "scheduler_config.json"}) {
    std::ifstream in(path);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::string known = "PNDMScheduler";
    text.replace(text.find(known), known.size(), "DelphiScheduler");
    std::ofstream(path) << text;
  }
}

void break_model(std::string_view how, const fs::path& model, const fs::path& target) {
  fs::remove_all(target);
  fs::create_directories(target);
  fs::copy(model, target, fs::copy_options::recursive);
  if (how == "truncated") {
    const auto path = target / "unet" / "diffusion_pytorch_model.safetensors";
    fs::resize_file(path, fs::file_size(path) / 2);
  } else if (how == "missing-tensor") {
    rewrite_unet(target, [](const Tensor<float>&) { return Tensor<float>(); });
  } else if (how == "wrong-shape") {
    rewrite_unet(target, [](const Tensor<float>& tensor) { return tensor.slice(0, tensor.dim(0) - 1); });
  } else if (how == "nan") {
    rewrite_unet(target, [](const Tensor<float>& tensor) {
      auto changed = tensor.clone();
      changed.data()[7] = std::numeric_limits<float>::quiet_NaN();
      return changed;
    });
  } else if (how == "unknown-scheduler") {
    name_unknown_scheduler(target);
  } else {
    throw std::invalid_argument("no such defect");
  }
}

/// A LoRA of rank 1 for the U-Net's first convolution.
void make_lora(const fs::path& model, const fs::path& target) {
  const auto file = weights::SafetensorsFile::open(model / "unet" / "diffusion_pytorch_model.safetensors");
  const auto shape = file.read<float>(victim).shape();
  const auto noise = make_generator("torch-cpu", 6);
  weights::SafetensorsWriter writer;
  writer.add("lora_unet_conv_in.lora_down.weight", noise->randn({1, shape[1], shape[2], shape[3]}));
  writer.add("lora_unet_conv_in.lora_up.weight", noise->randn({shape[0], 1, 1, 1}));
  writer.save(target);
}

/// White in its left half.
void make_mask(const fs::path& target) {
  Image mask(24, 16, 1);
  for (Index y = 0; y < mask.height(); ++y)
    for (Index x = 0; x < mask.width() / 2; ++x)
      mask.pixels()[static_cast<std::size_t>(y * mask.width() + x)] = 255;
  mask.save_png(target);
}

/// For two pictures of 24 x 16 pixels of a model whose autoencoder scales by 2.
void make_latents(const fs::path& target) {
  weights::SafetensorsWriter writer;
  writer.add("latents", make_generator("torch-cpu", 5)->randn({2, 4, 8, 12}));
  writer.save(target);
}

/// Says ANSWER and ends, never ends, or has no chat template.
void make_language_model(std::string_view what, const std::string& answer, const fs::path& target) {
  test::LanguageScript script{.answer = answer, .ends = what != "endless-language"};
  if (what == "untold-language") script.chat_template.clear();
  test::write_language_model(target, script);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "mask" && argc == 3)
      make_mask(argv[2]);
    else if (what == "latents" && argc == 3)
      make_latents(argv[2]);
    else if (what == "lora" && argc == 4)
      make_lora(argv[2], argv[3]);
    else if (what.ends_with("language") && argc == 4)
      make_language_model(what, argv[2], argv[3]);
    else if (argc == 4)
      break_model(what, argv[2], argv[3]);
    else
      throw std::invalid_argument("wrong arguments");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_inputs: %s\n", error.what());
    return 1;
  }
}
