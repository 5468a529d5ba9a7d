#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "daguerre/core/error.hpp"
#include "text/sentencepiece_bpe.hpp"
#include "text/sentencepiece_files.hpp"
#include "text/unigram.hpp"

// A spiece.model; what is read must encode text of any kind, and cover all of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace daguerre::text;
  try {
    const std::string source = "spiece.model";
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    try {
      const SentencePieceBpe model(parse_sentencepiece_model(bytes, source, SentencePieceModel::bpe), source);
      std::vector<std::int32_t> ids;
      model.encode(bytes.substr(0, 256), ids);
    } catch (const daguerre::ConfigError&) {
    }
    const UnigramModel model(parse_sentencepiece_model(bytes, source, SentencePieceModel::unigram), source);
    const auto count = static_cast<std::int32_t>(model.pieces().size());
    for (const std::string_view text :
         {std::string_view("a cat,  2 dogs </s> \xC3\xA9\xCC\x81\xEF\xAC\x81 \t\xFF"),
          std::string_view(reinterpret_cast<const char*>(data), size < 256 ? size : 256)}) {
      for (const auto& ready : {model.normalize(text), model.normalize_as_fast(text, {})}) {
        if (ready.source.size() != ready.text.size()) __builtin_trap();
        std::size_t last = 0;
        for (const auto& token : model.encode(ready.text)) {
          if (token.id < 0 || token.id >= count || token.begin < last || token.begin >= ready.text.size())
            __builtin_trap();
          last = token.begin;
        }
      }
    }
  } catch (const daguerre::Error&) {
  }
  return 0;
}
