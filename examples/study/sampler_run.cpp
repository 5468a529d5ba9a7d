#include "sampler_run.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <numeric>

#include <CLI/CLI.hpp>

#include <daguerre/core/parallel.hpp>
#include <daguerre/ops/engine.hpp>
#include <daguerre/pipeline/denoising.hpp>
#include <daguerre/samplers/registry.hpp>

namespace daguerre::study {
namespace {

/// What Pipeline sets for Stable Diffusion: its latents are not confined to [-1, 1], timesteps count from 1.
Config scheduler_of(const LatentMaker::Options& options) {
  return Config::load(options.model / "scheduler" / "scheduler_config.json")
      .with(R"({"steps_offset": 1, "clip_sample": false, "timestep_spacing": ")" + options.spacing + "\"}");
}

ops::Context context_of(const LatentMaker::Options& options) {
  return {.engine = ops::make_engine(),
          .threads = options.threads > 0 ? options.threads : available_threads(),
          .pool = {},
          .stop = {},
          .profile = {}};
}

/// A checksum (FNV-1a, 64 bits) of the weights of a model's denoiser and autoencoder, in hexadecimal.
std::string fingerprint(const std::filesystem::path& model) {
  std::uint64_t sum = 14695981039346656037u;
  for (const auto* part : {"unet", "vae"}) {
    const auto path = model / part / "diffusion_pytorch_model.safetensors";
    std::ifstream file(path, std::ios::binary);
    if (!file) throw FileError("study", path.string() + " cannot be read");
    for (auto byte = std::istreambuf_iterator<char>(file); byte != std::istreambuf_iterator<char>(); ++byte)
      sum = (sum ^ static_cast<unsigned char>(*byte)) * 1099511628211u;
  }
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(sum));
  return text.data();
}

}  // namespace

LatentMaker::LatentMaker(const Options& options, const std::vector<std::string>& prompts)
    : options_(options),
      context_(context_of(options)),
      model_(Model::load(ModelSource::open_folder(options.model),
                         {.compute = context_, .precision = resolved(options.precision, *context_.engine)})),
      scheduler_(scheduler_of(options)) {
  for (const auto& prompt : prompts) prompts_.push_back({.text = prompt});
  auto task = task_for(0, static_cast<Index>(prompts_.size()));
  task.sampler = samplers::SamplerRegistry::standard().make(scheduler_);
  conditions_ = model_.condition(context_, task, *model_.guider(task));
}

Task LatentMaker::task_for(Index begin, Index end) const {
  Task task;
  task.prompts.assign(prompts_.begin() + begin, prompts_.begin() + end);
  task.guidance.scale = options_.guidance;
  task.height = model_.default_size()[0];
  task.width = model_.default_size()[1];
  return task;
}

Tensor<float> LatentMaker::make(const std::string& sampler, int steps,
                                const std::function<void(Index)>& progress) const {
  const auto method = samplers::SamplerRegistry::standard().make(sampler, scheduler_);
  const auto count = static_cast<Index>(prompts_.size());
  std::vector<Tensor<float>> parts;
  for (Index begin = 0; begin < count; begin += options_.batch) {
    const Index end = std::min(begin + options_.batch, count);
    parts.push_back(make_some(method, steps, begin, end));
    progress(end);
  }
  return concat_leading<float>(parts);
}

Tensor<float> LatentMaker::make_some(std::shared_ptr<const samplers::Sampler> sampler, int steps, Index begin,
                                     Index end) const {
  std::vector<std::uint64_t> seeds(static_cast<std::size_t>(end - begin));
  std::iota(seeds.begin(), seeds.end(), options_.seed + static_cast<std::uint64_t>(begin));
  SeededNoise noise("torch-cpu", seeds);
  auto task = task_for(begin, end);
  task.steps = steps;
  task.sampler = std::move(sampler);
  return model_.denoise(context_, task, {conditions_.begin() + begin, conditions_.begin() + end}, noise);
}

void add_sampling_options(CLI::App& app, LatentMaker::Options& make, std::string& precision,
                          bool& unconditional) {
  app.add_option("--model", make.model, "Model folder")->required();
  app.add_flag("--unconditional", unconditional, "The empty prompt instead of names");
  app.add_option("--guidance", make.guidance, "Guidance scale")->capture_default_str();
  app.add_option("--spacing", make.spacing, "Of the timesteps")
      ->check(CLI::IsMember({"trailing", "linspace", "leading"}))
      ->capture_default_str();
  app.add_option("--seed", make.seed, "Of the names and of the first picture")->capture_default_str();
  app.add_option("--batch", make.batch, "Pictures at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--precision", precision, "Of the denoiser: f32 or bf16")->capture_default_str();
  app.add_option("--threads", make.threads, "0: as many as processors")->capture_default_str();
}

Json settings_of(const LatentMaker::Options& make, const std::string& precision, bool unconditional,
                 std::size_t samples) {
  return {{"weights", fingerprint(make.model)},
          {"samples", samples},
          {"seed", make.seed},
          {"prompts", unconditional ? "empty" : "names"},
          {"guidance", make.guidance},
          {"spacing", make.spacing},
          {"precision", precision}};
}

}  // namespace daguerre::study
