#include "daguerre/pipeline/infotext_request.hpp"

#include <algorithm>
#include <charconv>

#include "daguerre/core/error.hpp"
#include "pipeline/film_plan.hpp"
#include "pipeline/infotext_names.hpp"
#include "pipeline/piecewise.hpp"

namespace daguerre {
namespace {

using InfotextReading = InfotextKeys::Reading;

template <class Number>
std::optional<Number> parsed_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_true(const std::string& value) {
  return value == "True" || value == "true";
}

/// The second pass that the text describes, made when the first of its keys is read.
Hires& hires_of(const InfotextReading& reading) {
  auto& hires = reading.result.request.hires;
  if (!hires) hires.emplace();
  return *hires;
}

bool has_hires(const InfotextReading& reading) {
  return reading.find("Hires upscale") || reading.find("Hires resize") || reading.find("Hires upscaler");
}

Inpainting& inpainting_of(const InfotextReading& reading) {
  return reading.result.request.input.inpainting;
}

/// A row that sets a number by `set(request, number)`.
template <class SetNumber>
InfotextKeys::Set number_row(const char* key, SetNumber set) {
  return [=](const InfotextReading& reading, const std::string& value) {
    if (const auto number = reading.number(key, value)) set(reading, *number);
  };
}

/// Likewise a whole one, of `least` to `most`.
template <class SetInteger>
InfotextKeys::Set integer_row(const char* key, Index least, Index most, SetInteger set) {
  return [=](const InfotextReading& reading, const std::string& value) {
    const auto number = reading.integer(key, value);
    if (!number) return;
    if (*number < least || *number > most)
      reading.note(std::string(key) + " " + value + " is not possible");
    else
      set(reading, *number);
  };
}

InfotextKeys::Set size_row(const char* key, void (*set)(const InfotextReading&, Index width, Index height)) {
  return [=](const InfotextReading& reading, const std::string& value) {
    if (const auto size = reading.size(key, value)) set(reading, size->first, size->second);
  };
}

InfotextKeys::Set text_row(std::optional<std::string> Request::*member) {
  return [=](const InfotextReading& reading, const std::string& value) {
    reading.result.request.*member = value;
  };
}

constexpr Index most_int = 1'000'000'000;

void add_sampling(InfotextKeys& keys) {
  keys.add("Steps", integer_row("Steps", 1, most_int, [](const InfotextReading& reading, Index steps) {
             if (!reading.find("Timesteps"))  // which are as many
               reading.result.request.sampling.steps = static_cast<int>(steps);
           }));
  keys.add("Sampler", [](const InfotextReading& reading, const std::string& value) {
    const auto* schedule = reading.find("Schedule type");
    const auto name = sampler_called(value, schedule ? *schedule : std::string());
    if (name)
      reading.result.request.sampling.sampler = *name;
    else if (!value.ends_with("Scheduler") && !value.ends_with("Sampler"))  // a class: the model's own
      reading.note("the sampler \"" + value + "\"" + (schedule ? " with levels \"" + *schedule + "\"" : "") +
                   " is not one of the samplers here; the model's own is taken");
  });
  keys.ignore("Schedule type");
  keys.add("Timesteps", [](const InfotextReading& reading, const std::string& value) {
    auto& sampling = reading.result.request.sampling;
    for (std::size_t begin = 0; begin < value.size();) {
      const auto end = std::min(value.find(' ', begin), value.size());
      const auto timestep = parsed_number<double>(std::string_view(value).substr(begin, end - begin));
      if (!timestep) {
        sampling.timesteps.clear();
        return reading.note("Timesteps: \"" + value + "\" is not a list of numbers");
      }
      sampling.timesteps.push_back(*timestep);
      begin = end + 1;
    }
  });
  keys.add("Seed", [](const InfotextReading& reading, const std::string& value) {
    if (const auto seed = parsed_number<std::uint64_t>(value))
      reading.result.request.sampling.seed = *seed;
    else
      reading.note("Seed: \"" + value + "\" is not a number");
  });
  keys.add("Variation seed", [](const InfotextReading& reading, const std::string& value) {
    if (const auto seed = parsed_number<std::uint64_t>(value))
      reading.result.request.sampling.variation_seed = *seed;
    else
      reading.note("Variation seed: \"" + value + "\" is not a number");
  });
  keys.add("Variation seed strength",
           number_row("Variation seed strength", [](const InfotextReading& reading, double number) {
             reading.result.request.sampling.variation_strength = number;
           }));
  keys.add("RNG", [](const InfotextReading& reading, const std::string& value) {
    if (value == "CPU") reading.result.request.sampling.generator = "torch-cpu";
  });
  const auto eta = number_row("Eta", [](const InfotextReading& reading, double number) {
    reading.result.request.sampling.eta = number;
  });
  keys.add("Eta", eta);
  keys.add("Eta DDIM", eta);
  keys.add("Initial noise", [](const InfotextReading& reading, const std::string&) {
    reading.note("the picture was made from noise or latents that were given");
  });
  const auto part = [](const InfotextReading& reading, const std::string&) {
    reading.note("the picture is a part of a run that several models share");
  };
  keys.add("Denoising start", part);
  keys.add("Denoising end", part);
}

void add_guidance(InfotextKeys& keys) {
  keys.add("CFG scale", number_row("CFG scale", [](const InfotextReading& reading, double number) {
             auto& guidance = reading.result.request.guidance;
             // Beside a distilled one it is the scale of a second pass, of which 1 is none.
             if (!reading.find("Distilled CFG Scale"))
               guidance.scale = static_cast<float>(number);
             else if (number != 1.0)
               guidance.true_cfg_scale = static_cast<float>(number);
           }));
  keys.add("True CFG scale", number_row("True CFG scale", [](const InfotextReading& reading, double number) {
             reading.result.request.guidance.true_cfg_scale = static_cast<float>(number);
           }));
  keys.add("Distilled CFG Scale",
           number_row("Distilled CFG Scale", [](const InfotextReading& reading, double number) {
             reading.result.request.guidance.scale = static_cast<float>(number);
           }));
  keys.add("CFG Rescale phi",
           number_row("CFG Rescale phi", [](const InfotextReading& reading, double number) {
             reading.result.request.guidance.rescale = static_cast<float>(number);
           }));
  keys.add("Image CFG scale",
           number_row("Image CFG scale", [](const InfotextReading& reading, double number) {
             reading.result.request.guidance.image_scale = static_cast<float>(number);
             reading.result.needs_image = true;
           }));
  keys.add("Guider", [](const InfotextReading& reading, const std::string& value) {
    reading.note("the predictions were combined by the host's own guider (" + value + ")");
  });
}

void add_prompts(InfotextKeys& keys) {
  keys.add("Clip skip", integer_row("Clip skip", 1, 1000, [](const InfotextReading& reading, Index number) {
             if (number > 1) reading.result.request.clip_skip = static_cast<int>(number - 1);
           }));
  keys.add("Prompt 2", text_row(&Request::prompt_2));
  keys.add("Prompt 3", text_row(&Request::prompt_3));
  keys.add("Negative prompt 2", text_row(&Request::negative_prompt_2));
  keys.add("Negative prompt 3", text_row(&Request::negative_prompt_3));
  keys.add("Exact negative prompt", text_row(&Request::negative_prompt));
  keys.add("Exact prompt", [](const InfotextReading& reading, const std::string& value) {
    reading.result.request.prompt = value;
  });
  keys.add("Prompt syntax", [](const InfotextReading& reading, const std::string& value) {
    for (const auto syntax :
         {PromptSyntax::plain, PromptSyntax::a1111, PromptSyntax::comfyui, PromptSyntax::compel})
      if (name_of(syntax) == value) {
        reading.result.request.prompt_syntax = syntax;
        return;
      }
    reading.note("Prompt syntax: \"" + value + "\" is not known");
  });
  keys.add("Emphasis", [](const InfotextReading& reading, const std::string& value) {
    for (const auto emphasis : {Emphasis::original, Emphasis::no_norm, Emphasis::ignore, Emphasis::none})
      if (name_of(emphasis) == value) {
        reading.result.request.emphasis = emphasis;
        return;
      }
    reading.note("Emphasis: \"" + value + "\" is not known");
  });
  keys.add("Max sequence length",
           integer_row("Max sequence length", 1, most_int, [](const InfotextReading& reading, Index number) {
             reading.result.request.max_sequence_length = static_cast<int>(number);
           }));
  keys.add("Class", [](const InfotextReading& reading, const std::string& value) {
    const auto id = parsed_number<std::int32_t>(value.substr(0, value.find(' ')));
    if (id && value.find(';') == value.npos)
      reading.result.request.class_labels = {*id};
    else
      reading.note("Class: \"" + value + "\" is not one class");
  });
}

/// What was done to the prompt: it is not done again.
void add_rewriting(InfotextKeys& keys) {
  const auto record = [](const InfotextReading& reading) -> RewriteRecord& {
    auto& value = reading.result.request.rewrite;
    return value ? *value : value.emplace();
  };
  const auto text = [&](const char* key, std::string RewriteRecord::*member) {
    keys.add(key, [=](const InfotextReading& reading, const std::string& value) {
      record(reading).*member = value;
    });
  };
  text("Original prompt", &RewriteRecord::original);
  text("Rewriter", &RewriteRecord::rewriter);
  text("Rewrite instruction", &RewriteRecord::instruction);
  text("Rewrite remark", &RewriteRecord::remark);
  text("Rewrite failure", &RewriteRecord::failure);
  keys.add("Rewrite seed", [=](const InfotextReading& reading, const std::string& value) {
    if (const auto seed = parsed_number<std::uint64_t>(value))
      record(reading).seed = *seed;
    else
      reading.note("Rewrite seed: \"" + value + "\" is not a whole number");
  });
  keys.add("Rewrite seconds", number_row("Rewrite seconds", [=](const InfotextReading& reading, double seconds) {
             record(reading).seconds = seconds;
           }));
}

/// What SDXL is told of sizes: rows of a size, height first in the request.
template <class Member>
void add_micro_size(InfotextKeys& keys, const char* key, Member member) {
  keys.add(key, [=](const InfotextReading& reading, const std::string& value) {
    if (const auto size = reading.size(key, value))
      reading.result.request.micro.*member = Extent{size->second, size->first};
  });
}

void add_micro_conditioning(InfotextKeys& keys) {
  add_micro_size(keys, "Original size", &MicroConditioning::original_size);
  add_micro_size(keys, "Crop", &MicroConditioning::crop_top_left);
  add_micro_size(keys, "Target size", &MicroConditioning::target_size);
  add_micro_size(keys, "Negative original size", &MicroConditioning::negative_original_size);
  add_micro_size(keys, "Negative crop", &MicroConditioning::negative_crop_top_left);
  add_micro_size(keys, "Negative target size", &MicroConditioning::negative_target_size);
  keys.add("Aesthetic score",
           number_row("Aesthetic score", [](const InfotextReading& reading, double number) {
             reading.result.request.micro.aesthetic_score = number;
           }));
  keys.add("Negative aesthetic score",
           number_row("Negative aesthetic score", [](const InfotextReading& reading, double number) {
             reading.result.request.micro.negative_aesthetic_score = number;
           }));
}

void add_inputs(InfotextKeys& keys) {
  keys.add("Denoising strength",
           number_row("Denoising strength", [](const InfotextReading& reading, double number) {
             if (has_hires(reading) && !reading.find("Hires denoising strength")) {
               hires_of(reading).strength = number;
               return;
             }
             reading.result.request.input.strength = number;
             reading.result.needs_image = true;
           }));
  keys.add("Noise level",
           integer_row("Noise level", 0, most_int, [](const InfotextReading& reading, Index level) {
             reading.result.request.input.noise_level = static_cast<int>(level);
             reading.result.needs_image = true;
           }));
  keys.add("Reference image",
           [](const InfotextReading& reading, const std::string&) { reading.result.needs_image = true; });
  keys.add("Mask blur", number_row("Mask blur", [](const InfotextReading& reading, double number) {
             inpainting_of(reading).mask_blur = number;
             reading.result.needs_image = true;
             reading.result.needs_mask = reading.find("Outpaint") == nullptr || reading.find("Mask");
           }));
  keys.ignore("Mask");
  keys.add("Mask grow",
           integer_row("Mask grow", -4096, 4096, [](const InfotextReading& reading, Index number) {
             inpainting_of(reading).mask_grow = number;
           }));
  keys.add("Inpaint area", [](const InfotextReading& reading, const std::string& value) {
    auto& area = inpainting_of(reading).only_masked;
    if (value == "Only masked" && !area) area = 32;  // the web UI's, where the text says nothing else
  });
  keys.add("Masked area padding",
           integer_row("Masked area padding", 0, most_int, [](const InfotextReading& reading, Index number) {
             if (const auto* area = reading.find("Inpaint area"); area && *area == "Only masked")
               inpainting_of(reading).only_masked = number;
           }));
  keys.add("Masked content", [](const InfotextReading& reading, const std::string& value) {
    if (const auto content = masked_content_called(value))
      inpainting_of(reading).content = *content;
    else
      reading.note("Masked content: \"" + value + "\" is not known");
  });
  keys.add("Differential mask", [](const InfotextReading& reading, const std::string& value) {
    inpainting_of(reading).differential = is_true(value);
  });
  keys.add("Keep unmasked", [](const InfotextReading& reading, const std::string& value) {
    inpainting_of(reading).keep_unmasked = is_true(value);
  });
  keys.add("Outpaint", [](const InfotextReading& reading, const std::string& value) {
    auto& out = inpainting_of(reading).outpaint;
    std::string_view rest = value;
    for (Index* side : {&out.left, &out.top, &out.right, &out.bottom}) {
      const auto number = parsed_number<Index>(rest.substr(0, rest.find(' ')));
      if (!number) return reading.note("Outpaint: \"" + value + "\" is not four numbers");
      *side = *number;
      rest.remove_prefix(std::min(rest.size(), rest.substr(0, rest.find(' ')).size() + 1));
    }
  });
  keys.add("Outpaint overlap",
           integer_row("Outpaint overlap", 0, most_int, [](const InfotextReading& reading, Index number) {
             inpainting_of(reading).outpaint.overlap = number;
           }));
}

/// What the text names and only a file holds.
void add_files(InfotextKeys& keys) {
  const auto given = [&](const std::string& key, const char* what) {
    keys.add(key, [=](const InfotextReading& reading, const std::string& value) {
      reading.note(std::string("made with ") + what + ", to be given again: " + value);
    });
  };
  keys.add("Loras", [](const InfotextReading& reading, const std::string& value) {
    try {
      reading.result.loras = parse_lora_mentions(value);
    } catch (const FormatError&) {
      reading.note("Loras: \"" + value + "\" is not a list of LoRAs with weights");
    }
  });
  keys.add("Embeddings", [](const InfotextReading& reading, const std::string& value) {
    for (std::size_t begin = 0; begin < value.size();) {
      const auto end = std::min(value.find(", ", begin), value.size());
      reading.result.embeddings.push_back(value.substr(begin, end - begin));
      begin = end + 2;
    }
  });
  for (int i = 0; i < 10; ++i) {
    given("ControlNet " + std::to_string(i), "a ControlNet or T2I-Adapter");
    given("Image prompt " + std::to_string(i), "an IP-Adapter");
  }
}

/// What changes how a U-Net computes.
void add_textures(InfotextKeys& keys) {
  keys.add("Tiling", [](const InfotextReading& reading, const std::string& value) {
    auto& tiling = reading.result.request.tiling;
    tiling.x = is_true(value) || value == "x";
    tiling.y = is_true(value) || value == "y";
  });
  const auto free_u = [&](const char* key, float models::FreeU::*member) {
    keys.add(key, number_row(key, [=](const InfotextReading& reading, double number) {
               auto& value = reading.result.request.free_u;
               if (!value) value.emplace();
               (*value).*member = static_cast<float>(number);
             }));
  };
  free_u("freeu_b1", &models::FreeU::b1);
  free_u("freeu_b2", &models::FreeU::b2);
  free_u("freeu_s1", &models::FreeU::s1);
  free_u("freeu_s2", &models::FreeU::s2);
}

void add_second_pass(InfotextKeys& keys) {
  keys.add("Hires upscale", number_row("Hires upscale", [](const InfotextReading& reading, double number) {
             hires_of(reading).scale = number;
           }));
  keys.add("Hires resize",
           size_row("Hires resize", [](const InfotextReading& reading, Index width, Index height) {
             if (width > 0) hires_of(reading).width = width;  // the web UI writes 0 for what follows
             if (height > 0) hires_of(reading).height = height;
           }));
  keys.add("Hires steps",
           integer_row("Hires steps", 0, most_int, [](const InfotextReading& reading, Index number) {
             if (number > 0) hires_of(reading).steps = static_cast<int>(number);
           }));
  keys.add("Hires denoising strength",
           number_row("Hires denoising strength", [](const InfotextReading& reading, double number) {
             hires_of(reading).strength = number;
           }));
  keys.add("Hires sampler", [](const InfotextReading& reading, const std::string& value) {
    const auto* schedule = reading.find("Hires schedule type");
    if (const auto name = sampler_called(value, schedule ? *schedule : std::string()))
      hires_of(reading).sampler = *name;
    else if (value != "Use same sampler")
      reading.note("the second pass's sampler \"" + value + "\" is not one of the samplers here");
  });
  keys.ignore("Hires schedule type");
  keys.add("Hires upscaler", [](const InfotextReading& reading, const std::string& value) {
    auto& hires = hires_of(reading);
    const auto mode = hires_mode_called(value);
    hires.mode = mode.value_or(Hires::Mode::pixels);
    if (!mode)
      reading.note("the second pass's upscaler \"" + value +
                   "\" has to be given; without it, Lanczos is taken");
  });
}

void add_tiles(InfotextKeys& keys) {
  const auto tiles = [](const InfotextReading& reading) -> Tiles& {
    auto& value = reading.result.request.tiles;
    return value ? *value : value.emplace();
  };
  keys.add("Tile size", [=, size = integer_row("Tile size", 0, most_int,
                                               [=](const InfotextReading& reading, Index number) {
                                                 tiles(reading).size = number;
                                               })](const InfotextReading& reading, const std::string& value) {
    if (value == trained_tile)
      tiles(reading).size = 0;
    else
      size(reading, value);
  });
  keys.add("Tile overlap",
           integer_row("Tile overlap", -1, most_int, [=](const InfotextReading& reading, Index number) {
             tiles(reading).overlap = number;
           }));
  keys.add("VAE tiling", [](const InfotextReading& reading, const std::string& value) {
    auto& tiling = reading.result.request.vae_tiling;
    tiling.use = VaeTiling::Use::on;
    tiling.blend = value == "reference" ? VaeTiling::Blend::reference : VaeTiling::Blend::seamless;
  });
  keys.add("VAE tile size",
           integer_row("VAE tile size", 0, most_int, [](const InfotextReading& reading, Index number) {
             reading.result.request.vae_tiling.size = number;
           }));
}

}  // namespace

const std::string* InfotextReading::find(std::string_view key) const noexcept {
  const auto& all = infotext.parameters;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.first == key; });
  return found == all.end() ? nullptr : &found->second;
}

std::optional<double> InfotextReading::number(std::string_view key, const std::string& value) const {
  auto result = parsed_number<double>(value);
  if (!result) note(std::string(key) + ": \"" + value + "\" is not a number");
  return result;
}

std::optional<Index> InfotextReading::integer(std::string_view key, const std::string& value) const {
  auto result = parsed_number<Index>(value);
  if (!result) note(std::string(key) + ": \"" + value + "\" is not a whole number");
  return result;
}

std::optional<std::pair<Index, Index>> InfotextReading::size(std::string_view key,
                                                             const std::string& value) const {
  const auto cross = value.find('x');
  if (cross != value.npos) {
    const auto width = parsed_number<Index>(std::string_view(value).substr(0, cross));
    const auto height = parsed_number<Index>(std::string_view(value).substr(cross + 1));
    if (width && height) return std::pair(*width, *height);
  }
  note(std::string(key) + ": \"" + value + "\" is not a size");
  return std::nullopt;
}

InfotextKeys InfotextKeys::standard() {
  InfotextKeys keys;
  add_sampling(keys);
  add_guidance(keys);
  add_prompts(keys);
  add_rewriting(keys);
  add_micro_conditioning(keys);
  add_inputs(keys);
  add_files(keys);
  add_textures(keys);
  add_second_pass(keys);
  add_tiles(keys);
  add_film_keys(keys);
  keys.add("Size", size_row("Size", [](const InfotextReading& reading, Index width, Index height) {
             reading.result.request.size = {width, height};
           }));
  keys.add("Model",
           [](const InfotextReading& reading, const std::string& value) { reading.result.model = value; });
  for (const char* key : {"Model hash", "Version", "VAE hash", "Lora hashes", "TI hashes", "Hashes",
                          "Best of", "Draft steps", "Judge", "Judge score"})
    keys.ignore(key);
  return keys;
}

void InfotextKeys::add(std::string key, Set set) {
  rows_.insert_or_assign(std::move(key), std::move(set));
}

void InfotextKeys::ignore(std::string key) {
  add(std::move(key), [](const InfotextReading&, const std::string&) {});
}

InfotextRequest InfotextKeys::read(const Infotext& infotext) const {
  InfotextRequest result;
  result.request.prompt = infotext.prompt;
  if (!infotext.negative_prompt.empty()) result.request.negative_prompt = infotext.negative_prompt;
  const InfotextReading reading{infotext, result};
  if (!infotext.parameters.empty()) {
    result.request.sampling.generator = "cuda-philox";
    // Another program than this one is the web UI, which has no other language than its own.
    const auto* version = reading.find("Version");
    if (version == nullptr || !version->starts_with("Daguerre"))
      result.request.prompt_syntax = PromptSyntax::a1111;
  }
  for (const auto& [key, value] : infotext.parameters) {
    const auto row = rows_.find(key);
    if (row != rows_.end())
      row->second(reading, value);
    else
      reading.note(key + " (" + value.substr(0, 80) + ") is not known here");
  }
  return result;
}

InfotextRequest request_from_infotext(const Infotext& infotext) {
  return InfotextKeys::standard().read(infotext);
}

}  // namespace daguerre
