// TradeModel
