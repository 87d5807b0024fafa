#include "common/types.h"

#include <string.h>

static const char *const outcome_texts[] = {
#define X(name, code, text) [code] = text,
    TRI_OUTCOME_MAP(X)
#undef X
};

static const char *const model_texts[] = {
#define X(name, code, text) [code] = text,
    TRI_MODEL_MAP(X)
#undef X
};

static const char *const type_texts[] = {
#define X(name, code, text) [code] = text,
    TRI_TYPE_MAP(X)
#undef X
};

const char *tri_outcome_text(uint64_t outcome)
{
    return outcome < TRI_COUNT_OF(outcome_texts) ? outcome_texts[outcome] : "?";
}

const char *tri_model_text(uint64_t model)
{
    return model < TRI_COUNT_OF(model_texts) ? model_texts[model] : "?";
}

const char *tri_type_text(uint64_t type)
{
    return type < TRI_COUNT_OF(type_texts) ? type_texts[type] : "?";
}

enum tri_status tri_model_parse(const char *text, enum tri_model *model)
{
    for (size_t i = 0; i < TRI_COUNT_OF(model_texts); i++) {
        if (strcmp(text, model_texts[i]) == 0) {
            *model = (enum tri_model)i;
            return TRI_OK;
        }
    }
    return TRI_INVALID;
}
